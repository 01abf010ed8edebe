//! What is checked in memory is what an evaluator says of the flag in hand.

use flipper_core::{
    Attribute, Bucketer, Condition, Context, Evaluator, FeatureFlagClient, Flag, LocalClient, LocalFlag,
    Operator, Percentage, Semantics,
};

use super::cases::{NOW, START, bucketers, conditions, flags, ruled, snapshot_of, with_contexts};
use super::{Held, poll_once};

const BOTH: [Semantics; 2] = [Semantics::Documented, Semantics::FlipperClient];

fn agrees(
    local: &LocalClient,
    handle: &LocalFlag,
    flag: &Flag,
    evaluator: &Evaluator<'_>,
    context: &Context<'_>,
) {
    for default in [false, true] {
        let expected = evaluator.evaluate(flag, context, default);
        let what = || format!("{flag:?} for {context:?}, {default} by default");
        assert_eq!(local.evaluate(flag.name(), context, default), expected, "{}", what());
        assert_eq!(handle.evaluate(context, default), expected, "{}", what());
        assert_eq!(local.is_enabled_or(flag.name(), context, default), expected.value, "{}", what());
        assert_eq!(handle.is_enabled_or(context, default), expected.value, "{}", what());
        let client = local.client();
        assert_eq!(
            poll_once(client.is_enabled_or(flag.name(), context, default)),
            expected.value,
            "{}",
            what()
        );
        assert_eq!(poll_once(client.evaluate(flag.name(), context, default)).unwrap(), expected);
    }
    assert_eq!(local.is_enabled(flag.name(), context), handle.is_enabled(context));
}

/// A client of these flags, with semantics, the time [`NOW`], and a number that is always drawn.
fn client_of(flags: &[Flag], semantics: Semantics, drawn: f64) -> LocalClient {
    FeatureFlagClient::builder(Held::new(&snapshot_of(flags)))
        .semantics(semantics)
        .clock(|| NOW)
        .random(move || drawn)
        .build()
        .local()
        .unwrap()
}

#[test]
fn flags_and_contexts_of_every_kind_are_answered_as_by_an_evaluator() {
    let flags = flags();
    for semantics in BOTH {
        for drawn in [0.1, 0.49, 0.6] {
            let local = client_of(&flags, semantics, drawn);
            let random = move || drawn;
            let evaluator =
                Evaluator::new().with_semantics(semantics).with_clock(&|| NOW).with_random(&random);
            for flag in &flags {
                let handle = local.flag(flag.name());
                with_contexts(&mut |context| agrees(&local, &handle, flag, &evaluator, context));
            }
        }
    }
}

// Some around the lengths at which names are compared differently, and one that a record escapes.
const NAMES: [&str; 11] = [
    "id",
    "plan",
    "float",
    "json",
    "self",
    "randomizer",
    "thirteen_long",
    "fourteen_long_",
    "twenty_two_chars_long_",
    "thirty_characters_long_is_this",
    "a\"b",
];
const TEXTS: [&str; 6] = ["gold", "silver", "", "é", "fourteen long.", "fifteen is long"];

fn any_attribute(random: &mut fastrand::Rng) -> Attribute<'static> {
    match random.u8(..6) {
        0 => Attribute::from(random.i64(-3..12)),
        1 => Attribute::from(random.f64() * 10.0),
        2 => Attribute::from(random.bool()),
        3 => Attribute::from(None::<i64>),
        4 => Attribute::from(random.i64(..)),
        _ => Attribute::from(TEXTS[random.usize(..TEXTS.len())]),
    }
}

fn any_condition(random: &mut fastrand::Rng) -> Condition {
    let known = conditions();
    if random.bool() {
        return known[random.usize(..known.len())].clone();
    }
    let name = NAMES[random.usize(..NAMES.len())];
    let operator = Operator::ALL[random.usize(..Operator::ALL.len())];
    let condition = match random.u8(..3) {
        0 => Condition::builder().check(name, operator, random.i64(-3..12)),
        1 => Condition::builder().check(name, operator, TEXTS[random.usize(..TEXTS.len())]),
        _ => Condition::builder().is_in(name, (0..random.i64(0..20)).collect::<Vec<_>>()),
    };
    // What the builder refuses is as good as one that it takes.
    condition.build().unwrap_or_else(|_| known[0].clone())
}

fn any_bucketer(random: &mut fastrand::Rng) -> Bucketer {
    let known = bucketers();
    let percentage = if random.bool() {
        Percentage::new(random.f64()).unwrap()
    } else {
        let duration = std::time::Duration::from_secs(random.u64(0..7200));
        Percentage::linear_ramp(random.f64(), random.f64(), duration, START).unwrap()
    };
    match random.u8(..4) {
        0 => Bucketer::percentage(percentage),
        1 => {
            let names = NAMES.iter().filter(|_| random.bool()).copied().collect::<Vec<_>>();
            Bucketer::consistent_hash(percentage, names)
        }
        _ => known[random.usize(..known.len())].clone(),
    }
}

#[test]
fn random_flags_and_contexts_are_answered_as_by_an_evaluator() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let flags: Vec<_> = (0..1000)
        .map(|at| {
            let conditions: Vec<_> = (0..random.usize(..4)).map(|_| any_condition(&mut random)).collect();
            let mut flag = ruled(&format!("F{at}"), &conditions, &any_bucketer(&mut random));
            flag.set_enabled(random.u8(..8) > 0).unwrap();
            flag
        })
        .collect();
    for semantics in BOTH {
        let drawn = random.f64();
        let local = client_of(&flags, semantics, drawn);
        let draw = move || drawn;
        let evaluator = Evaluator::new().with_semantics(semantics).with_clock(&|| NOW).with_random(&draw);
        for flag in &flags {
            let handle = local.flag(flag.name());
            for _ in 0..12 {
                let pairs: Vec<_> = (0..random.usize(..5))
                    .map(|_| (NAMES[random.usize(..NAMES.len())], any_attribute(&mut random)))
                    .collect();
                agrees(&local, &handle, flag, &evaluator, &Context::new(&pairs));
            }
        }
    }
}

#[test]
fn texts_and_lists_of_every_length_are_answered_as_by_an_evaluator() {
    let texts: Vec<String> = [0, 1, 16, 17, 254, 255, 256, 65_535, 65_536].map(|len| "x".repeat(len)).into();
    let mut contexts = Vec::new();
    let mut flags = Vec::new();
    for name in &texts {
        for text in &texts {
            let attribute = Attribute::from(&**text);
            contexts.push((name.as_str(), attribute));
            let built = [
                Condition::builder().eq(name, &**text),
                Condition::builder().gt(name, &**text),
                Condition::builder().is_in(name, [&**text]),
                Condition::builder().is_not_in(name, vec!["a"; text.len().min(300)]),
                Condition::builder().is_in(name, (0..text.len().min(300) as i64).collect::<Vec<_>>()),
            ];
            for condition in built.map(|builder| builder.build().unwrap()) {
                flags.push(ruled(&format!("F{}", flags.len()), &[condition], &Bucketer::NoOp));
            }
        }
    }
    let local = client_of(&flags, Semantics::Documented, 0.5);
    let evaluator = Evaluator::new();
    for (at, flag) in flags.iter().enumerate() {
        let handle = local.flag(flag.name());
        let (name, _) = contexts[at / 5];
        for (given, pair) in contexts.iter().enumerate() {
            // All texts under its own name, and one under each other name.
            if pair.0 == name || given % 4 == 0 {
                agrees(
                    &local,
                    &handle,
                    flag,
                    &evaluator,
                    &Context::new(&[*pair, ("id", Attribute::from(7))]),
                );
            }
        }
    }
}

#[test]
fn an_attribute_that_python_cannot_pass_is_the_default_by_handle_too() {
    let flags = [super::flag("on", true), super::flag("off", false)];
    let context = flipper_core::ctx! { "self": 1 };
    for (semantics, expected) in [(BOTH[0], [true, true]), (BOTH[1], [false, true])] {
        let local = client_of(&flags, semantics, 0.5);
        let (on, off) = (local.flag("on"), local.flag("off"));
        // The handle has seen the flag without the attribute, and must ask again with it.
        assert!(on.is_enabled(&Context::EMPTY) && !off.is_enabled(&Context::EMPTY));
        assert_eq!([false, true].map(|default| on.is_enabled_or(&context, default)), expected);
        assert_eq!([false, true].map(|default| off.is_enabled_or(&context, default)), [false, false]);
        assert!(on.is_enabled(&Context::EMPTY));
    }
}
