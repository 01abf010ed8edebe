//! `condition`.

use super::edit::edit;
use crate::cli::{ConditionAction, ConditionArgs, EditArgs, Safety};
use crate::failure::{Code, Result};
use crate::pairs::condition as condition_of;
use crate::run::Run;

pub(crate) async fn condition(run: &mut Run, args: &ConditionArgs) -> Result<Code> {
    match &args.action {
        ConditionAction::Add { name, checks, edit: EditArgs { dry_run } } => {
            let condition = condition_of(checks)?;
            edit(run, name, *dry_run, None, |flag| flag.add_condition(&condition)).await
        }
        ConditionAction::Set { name, checks, safety: Safety { dry_run, yes } } => {
            let condition = condition_of(checks)?;
            let question = (!yes).then_some("Replace the conditions");
            edit(run, name, *dry_run, question, |flag| flag.set_conditions([&condition])).await
        }
        ConditionAction::Clear { name, safety: Safety { dry_run, yes } } => {
            let question = (!yes).then_some("Remove the conditions");
            edit(run, name, *dry_run, question, |flag| flag.set_conditions([])).await
        }
    }
}
