//! What is asked of every engine.

use crate::inputs::Visit;

/// What all flags of an engine decide by.
#[derive(Clone, Copy)]
pub enum Rule {
    /// Nothing but the switch: [`is_on`](crate::inputs::is_on) tells how it stands.
    Switch,
    /// The first of the five conditions, all of which hold for [`Visit::MATCHING`].
    OneCondition,
    /// All five conditions.
    FiveConditions,
    /// Half of the users, each of whom always gets the same answer.
    Sticky,
    /// Half of the checks, at random.
    Random,
}

/// An engine with its flags.
///
/// A context is built in the check that needs one, of what a caller has at hand: borrowed text, a number, a truth value.
pub trait Engine {
    /// Checks with the emptiest context that the engine takes.
    fn plain(&self, name: &str) -> bool;

    /// Checks with a context of the user's id, the plan, and whether this is an administrator.
    fn context(&self, name: &str, visit: &Visit<'_>) -> bool;

    /// Checks with a context of the plan.
    fn one_condition(&self, name: &str, visit: &Visit<'_>) -> bool;

    /// Checks with a context of the five attributes that the conditions ask for.
    fn five_conditions(&self, name: &str, visit: &Visit<'_>) -> bool;

    /// Checks with a context of the user's id.
    fn sticky(&self, name: &str, visit: &Visit<'_>) -> bool;
}
