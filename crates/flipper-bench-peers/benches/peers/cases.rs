//! What is asked, and the races. Before each race, every engine has to give the expected answers.

use flipper_bench::{Bars, Race, Shuffled};

use crate::engine::{Engine, Rule};
use crate::engines::Engines;
use crate::inputs::{Visit, Visits, is_on};
use crate::{launchdarkly, ours, unleash};

/// Runs all races with so many flags.
pub fn all(count: usize, bars: &mut Bars) {
    let names = flipper_bench::names(count);
    run::<Plain>(&names, bars);
    run::<Context>(&names, bars);
    run::<OneCondition>(&names, bars);
    run::<FiveConditions>(&names, bars);
    run::<Sticky>(&names, bars);
    run::<Random>(&names, bars);
}

fn run<C: Case>(names: &[Box<str>], bars: &mut Bars) {
    let (case, count) = (C::NAME, names.len());
    println!("{case}, {count} flags");
    let engines = Engines::new(names, C::RULE);
    C::expect(&engines, names);
    let mut race = Race::new()
        .over(count)
        // Of so little time, a disturbance is a large part. A round is short then.
        .more_rounds(if count <= 10 { 5 } else { 1 })
        .subject(ours::NAME, subject::<C, _>(&engines.ours, names))
        .subject(unleash::NAME, subject::<C, _>(&engines.unleash, names));
    if let Some(launchdarkly) = &engines.launchdarkly {
        race = race.subject(launchdarkly::NAME, subject::<C, _>(launchdarkly, names));
    }
    let ns = race.run();
    let quicker = ns[1..].iter().copied().fold(f64::INFINITY, f64::min);
    match C::LIMIT {
        Some(limit) => bars.at_least(&format!("local_path.peers.{case}.{count}"), quicker / ns[0], limit),
        None => println!("  (no bar: {:.2} times quicker)", quicker / ns[0]),
    }
}

fn subject<'a, C: Case, E: Engine>(engine: &'a E, asked: &'a [Box<str>]) -> impl FnMut() -> bool + 'a {
    let (mut order, mut visits) = (Shuffled::new(asked), Visits::new());
    move || C::ask(engine, order.pick(), &mut visits)
}

trait Case {
    const NAME: &str;
    const RULE: Rule;
    /// How many times quicker than the quicker peer flipper has to be.
    const LIMIT: Option<f64> = Some(3.5);

    /// What is timed.
    fn ask<E: Engine>(engine: &E, name: &str, visits: &mut Visits) -> bool;

    /// Panics if an engine answers anything else than is expected.
    fn expect(engines: &Engines, names: &[Box<str>]);
}

struct Plain;

impl Case for Plain {
    const NAME: &str = "plain";
    const RULE: Rule = Rule::Switch;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, _: &mut Visits) -> bool {
        engine.plain(name)
    }

    fn expect(engines: &Engines, names: &[Box<str>]) {
        for (at, name) in names.iter().enumerate() {
            engines.expect(name, is_on(at), |engine| engine.plain(name));
        }
    }
}

struct Context;

impl Case for Context {
    const NAME: &str = "context";
    const RULE: Rule = Rule::Switch;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, visits: &mut Visits) -> bool {
        engine.context(name, visits.next())
    }

    fn expect(engines: &Engines, names: &[Box<str>]) {
        let mut visits = Visits::new();
        for (at, name) in names.iter().enumerate() {
            let visit = visits.next();
            engines.expect(name, is_on(at), |engine| engine.context(name, visit));
        }
    }
}

struct OneCondition;

impl Case for OneCondition {
    const NAME: &str = "one_condition";
    const RULE: Rule = Rule::OneCondition;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, visits: &mut Visits) -> bool {
        engine.one_condition(name, visits.next())
    }

    fn expect(engines: &Engines, names: &[Box<str>]) {
        // A context without the attribute is not asked about: flipper's condition then holds, the peers' does not.
        let [other_plan, ..] = Visit::failing();
        for name in names {
            engines.expect("plan gold", true, |engine| engine.one_condition(name, &Visit::MATCHING));
            engines.expect("plan free", false, |engine| engine.one_condition(name, &other_plan));
        }
    }
}

struct FiveConditions;

impl Case for FiveConditions {
    const NAME: &str = "five_conditions";
    const RULE: Rule = Rule::FiveConditions;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, visits: &mut Visits) -> bool {
        engine.five_conditions(name, visits.next())
    }

    fn expect(engines: &Engines, names: &[Box<str>]) {
        let failing = Visit::failing();
        for name in names {
            engines.expect("all match", true, |engine| engine.five_conditions(name, &Visit::MATCHING));
            for (at, visit) in failing.iter().enumerate() {
                let what = format!("all match but number {at}");
                engines.expect(&what, false, |engine| engine.five_conditions(name, visit));
            }
        }
    }
}

struct Sticky;

impl Case for Sticky {
    const NAME: &str = "hash";
    const RULE: Rule = Rule::Sticky;
    /// The SHA-1 that flipper-client's buckets are made of takes most of the time; Unleash has a hash that takes a few
    /// nanoseconds.
    const LIMIT: Option<f64> = None;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, visits: &mut Visits) -> bool {
        engine.sticky(name, visits.next())
    }

    /// Each engine has a hash function of its own: what they share is how many users are in, and that users stay.
    fn expect(engines: &Engines, names: &[Box<str>]) {
        let users: Vec<_> = (0..1_000).map(|at| (1_000_000 + at).to_string()).collect();
        let ask = |engine: &dyn Engine, name: &str, at: usize| {
            engine.sticky(name, &Visit { user_id: &users[at], ..Visit::MATCHING })
        };
        for name in names.iter().take(10) {
            engines.expect_half("half of the users", |engine, at| ask(engine, name, at));
            for at in 0..users.len() {
                engines
                    .expect("one user, twice", true, |engine| ask(engine, name, at) == ask(engine, name, at));
            }
        }
    }
}

struct Random;

impl Case for Random {
    const NAME: &str = "percentage";
    const RULE: Rule = Rule::Random;

    #[inline]
    fn ask<E: Engine>(engine: &E, name: &str, _: &mut Visits) -> bool {
        engine.plain(name)
    }

    fn expect(engines: &Engines, names: &[Box<str>]) {
        for name in names.iter().take(10) {
            engines.expect_half("half of the checks", |engine, _| engine.plain(name));
        }
    }
}
