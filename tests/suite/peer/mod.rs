//! Python's flipper-client itself, asked what it makes of flags that are made up here.
//!
//! The two releases are installed by `scripts/peers`. `FLIPPER_PEER_CASES` and `FLIPPER_PEER_SEED` make a longer or
//! another run.

mod generate;
mod process;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use flipper_core::json::Value;
use flipper_core::{
    Bucketer, Condition, Evaluator, Flag, FlagName, Percentage, Reason, Semantics, Timestamp,
};
use serde_json::{Value as Json, json};

pub(crate) use process::Python;

/// One question.
struct Case {
    item: String,
    kwargs: String,
    now: Timestamp,
    drawn: f64,
}

/// The Python that has a release of flipper-client.
pub(crate) fn python(release: &str) -> PathBuf {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let python = root.join(format!("target/peers/flipper-client-{release}/bin/python"));
    assert!(
        python.exists(),
        "flipper-client {release} is not installed at {}: run `scripts/peers`, or all tests by `scripts/test`",
        python.display()
    );
    python
}

/// Asks a release of flipper-client.
fn ask(release: &str, cases: &[Case]) -> Vec<Json> {
    let mut peer = Command::new(python(release))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peer/answer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = peer.stdin.take().unwrap();
    let lines: Vec<String> = cases
        .iter()
        .map(|case| {
            json!({"item": case.item, "kwargs": case.kwargs, "now_us": case.now.as_micros(), "random": case.drawn})
                .to_string()
        })
        .collect();
    let writer = std::thread::spawn(move || {
        for line in lines {
            writeln!(stdin, "{line}").unwrap();
        }
    });
    let output = peer.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the peer failed");
    let answers: Vec<Json> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn made_up_flags_are_answered_as_by_flipper_client_1_3_2() {
    let seed = setting("FLIPPER_PEER_SEED", 1);
    let mut random = generate::Generator::new(seed);
    let cases: Vec<Case> = (0..setting("FLIPPER_PEER_CASES", 4_000)).map(|_| random.case()).collect();
    let (mut unreadable, mut raised, mut on) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(ask("1.3.2", &cases)) {
        unreadable += usize::from(answer["load_error"].is_string());
        raised += usize::from(answer["error"].is_string());
        on += usize::from(answer["value"] == true);
        if let Err(why) = compare(case, &answer) {
            wrong.push(format!(
                "{why}\n  item {}\n  kwargs {} at {:?} drawn {}\n  answer {answer}",
                case.item, case.kwargs, case.now, case.drawn
            ));
        }
    }
    wrong.truncate(10);
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
    println!("{} flags: {unreadable} unreadable, {raised} raised, {on} on", cases.len());
    // Else the generator has gone astray.
    assert!(unreadable * 2 < cases.len() && raised * 100 > cases.len() && on * 10 > cases.len());
}

fn compare(case: &Case, answer: &Json) -> Result<(), String> {
    let flag = match (Flag::from_json(case.item.as_bytes()), answer["load_error"].as_str()) {
        (Err(_), Some(_)) => return Ok(()),
        (Err(error), None) => return Err(format!("not read: {error}")),
        (Ok(flag), Some(error)) => {
            return match flag.rewritten_by_flipper_client(case.now) {
                Err(_) => Ok(()),
                Ok(_) => Err(format!("read, but flipper-client raises {error}")),
            };
        }
        (Ok(flag), None) => flag,
    };
    let rewritten = flag.rewritten_by_flipper_client(case.now).map_err(|error| error.to_string())?;
    same("rewritten", &rewritten, answer["rewritten"].as_str().unwrap_or_default())?;
    let kwargs = Value::parse(&case.kwargs).map_err(|error| error.to_string())?;
    let Value::Object(kwargs) = &kwargs else { return Err("kwargs".to_owned()) };
    let context: flipper_core::ContextBuf<'_> =
        kwargs.iter().map(|(name, value)| (name.as_str().unwrap(), value)).collect();
    let (now, drawn) = (case.now, case.drawn);
    let (clock, random) = (move || now, move || drawn);
    let evaluator =
        Evaluator::new().with_semantics(Semantics::FlipperClient).with_clock(&clock).with_random(&random);
    let evaluation = evaluator.evaluate(&flag, &context.as_context(), false);
    let raises = matches!(evaluation.reason, Reason::NotComparable { .. } | Reason::Unsupported);
    match answer["value"].as_bool() {
        Some(value) if value == evaluation.value && !raises => Ok(()),
        None if raises && !evaluation.value => Ok(()),
        // Python raises because of the name before it looks at the flag.
        None if kwargs.get("self").is_some() && evaluation.reason == Reason::Disabled => Ok(()),
        _ => Err(format!("ours: {evaluation:?}")),
    }
}

/// Compares texts but for the order of a whitelist, which Python does not have.
fn same(what: &str, ours: &str, theirs: &str) -> Result<(), String> {
    let letters = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    let is_same = ours == theirs || ours.contains("key_whitelist") && letters(ours) == letters(theirs);
    if is_same { Ok(()) } else { Err(format!("{what}: ours {ours}")) }
}

/// Flags as this library writes them, by every way that the API has.
fn written_flags() -> Vec<Flag> {
    let start = Timestamp::from_secs(1_700_000_000);
    let percentages = [
        Percentage::new(0.0).unwrap(),
        Percentage::new(0.001).unwrap(),
        Percentage::new(1.0).unwrap(),
        Percentage::linear_ramp(0.2, 0.8, Duration::from_mins(30), start).unwrap(),
        Percentage::linear_ramp(0.8, 0.2, Duration::from_millis(1500), start).unwrap(),
        Percentage::linear_ramp(0.0, 1.0, Duration::ZERO, Timestamp::from_secs(-5)).unwrap(),
    ];
    let mut bucketers = vec![Bucketer::NoOp];
    for percentage in percentages {
        bucketers.push(Bucketer::percentage(percentage.clone()));
        bucketers.push(Bucketer::consistent_hash(percentage.clone(), ["user_id", "näme", "😀"]));
        bucketers.push(Bucketer::consistent_hash(percentage, [""; 0]));
    }
    let conditions = [
        Condition::builder().eq("is_admin", true).build().unwrap(),
        Condition::builder().gt("n", 1).lt("n", 10).ne("n", 5.5).is_in("s", ["a", "é"]).build().unwrap(),
        Condition::builder()
            .is_not_in("l", vec![Value::Null, 1.into(), "😀".into()])
            .eq("x_", "")
            .build()
            .unwrap(),
        Condition::builder()
            .eq("", Value::Null)
            .lte("_a", u64::MAX)
            .gte("_a", f64::MIN_POSITIVE)
            .build()
            .unwrap(),
        Condition::builder().eq("o", json!({"a": {"b": [1.5, null]}})).is_in("t", "text").build().unwrap(),
    ];
    let names = ["X", "😀 / é", "..", "%2F\"\\"];
    let mut flags = Vec::new();
    for (at, bucketer) in bucketers.iter().enumerate() {
        let mut flag = Flag::new(FlagName::new(names[at % names.len()]).unwrap(), start);
        flag.set_bucketer(bucketer).unwrap();
        flag.set_enabled(at % 2 == 0).unwrap();
        for condition in &conditions[..at % (conditions.len() + 1)] {
            flag.add_condition(condition).unwrap();
        }
        let data = json!({"é": at, "nested": {"list": [1, 2.5, "😀", null]}, "big": u64::MAX});
        flag.merge_client_data(data.as_object().unwrap()).unwrap();
        flags.push(flag.clone());
        flag.set_conditions(&conditions).unwrap();
        flags.push(flag);
    }
    flags
}

#[test]
fn both_releases_read_what_is_written_and_keep_it_as_it_is() {
    let cases: Vec<Case> = written_flags()
        .iter()
        .map(|flag| Case {
            item: flag.as_json().to_owned(),
            kwargs: r#"{"user_id": 7}"#.to_owned(),
            now: Timestamp::from_secs(1_700_000_900),
            drawn: 0.4,
        })
        .collect();
    for release in ["1.2.3", "1.3.2"] {
        for (case, answer) in cases.iter().zip(ask(release, &cases)) {
            let rewritten =
                answer["rewritten"].as_str().unwrap_or_else(|| panic!("{release}: {answer}: {}", case.item));
            same(release, &case.item, rewritten).unwrap();
        }
    }
}
