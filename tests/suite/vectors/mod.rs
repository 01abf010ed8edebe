//! Cases that the real flipper-client answered: see `tests/vectors/README.md` for the fields of the files.
//!
//! `FLIPPER_VECTORS` names another folder with files of the same form.

mod conditions;
mod hash;
mod items;
mod percentage;
mod ramp;
pub(crate) mod wire;

use std::path::PathBuf;

use flipper_core::json::{Text, Value};
use flipper_core::{
    Attribute, Clock, Context, ContextBuf, Evaluation, Evaluator, Flag, Random, Semantics, Timestamp,
};
use serde_json::Value as Json;

fn folder() -> PathBuf {
    std::env::var_os("FLIPPER_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")), PathBuf::from)
}

pub(crate) fn read(file: &str) -> String {
    let path = folder().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One line of a `.jsonl` file.
struct Case(Json);

impl Case {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {}", self.0))
    }

    fn tag(&self) -> &str {
        self.text("tag").split(':').next().unwrap_or_default()
    }

    fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some()
    }

    fn bool(&self, field: &str) -> bool {
        self.0[field].as_bool().unwrap_or_else(|| panic!("no boolean `{field}` in {}", self.0))
    }

    fn now(&self) -> Timestamp {
        self.0["now_us"].as_i64().map_or_else(Timestamp::now, Timestamp::from_micros)
    }

    fn flag(&self) -> flipper_core::Result<Flag> {
        Flag::from_json(self.text("item").as_bytes())
    }

    fn has_legal_names(&self) -> bool {
        let Some(text) = self.0.get("kwargs_json").and_then(Json::as_str) else { return true };
        match Value::parse(text) {
            Ok(Value::Object(kwargs)) => kwargs.iter().all(|(name, _)| name.as_str().is_some()),
            _ => true,
        }
    }

    fn kwargs(&self) -> Kwargs {
        Kwargs::parse(self.text("kwargs_json"))
    }

    /// What flipper-client 1.3.2 would answer.
    fn evaluate(&self, flag: &Flag, context: &Context<'_>, random: &dyn Random) -> Evaluation {
        let now = self.now();
        let clock = move || now;
        let evaluator = evaluator(&clock, random);
        for semantics in [Semantics::Documented, Semantics::FlipperClient] {
            let evaluator = evaluator.with_semantics(semantics);
            let evaluation = evaluator.evaluate(flag, context, true);
            assert_eq!(
                evaluator.is_enabled(flag, context, true),
                evaluation.value,
                "{evaluation:?}: {flag:?}"
            );
        }
        evaluator.evaluate(flag, context, false)
    }
}

fn evaluator<'e>(clock: &'e dyn Clock, random: &'e dyn Random) -> Evaluator<'e> {
    Evaluator::new().with_semantics(Semantics::FlipperClient).with_clock(clock).with_random(random)
}

/// The keyword arguments of a call, which a context borrows.
struct Kwargs(Value);

impl Kwargs {
    fn parse(text: &str) -> Self {
        Self(Value::parse(text).expect("keyword arguments are JSON"))
    }

    fn context(&self) -> ContextBuf<'_> {
        let Value::Object(object) = &self.0 else { panic!("keyword arguments are an object") };
        let pair =
            |(name, value)| (Text::as_str(name).expect("a name without lone surrogates"), attribute(value));
        object.iter().map(pair).collect()
    }
}

/// Scalars take the way that applications' attributes take, the rest goes by reference.
fn attribute(value: &Value) -> Attribute<'_> {
    match value {
        Value::Null => Attribute::Null,
        Value::Bool(bool) => Attribute::Bool(*bool),
        Value::Int(int) => Attribute::Int(*int),
        Value::Float(float) => Attribute::Float(*float),
        Value::String(text) => text.as_str().map_or(Attribute::Value(value), Attribute::Str),
        Value::BigInt(big) => big.as_str().parse().map_or(Attribute::Value(value), Attribute::UInt),
        other => Attribute::Value(other),
    }
}

/// Runs a check over all cases of a file and reports every disagreement at once.
fn for_each(file: &str, check: impl Fn(&Case) -> Result<(), String>) {
    let text = read(file);
    let cases: Vec<Case> =
        text.lines().map(|line| Case(serde_json::from_str(line).expect("a line of JSON"))).collect();
    // A Rust string has no lone surrogates, so such a name cannot be passed.
    let (cases, unnameable): (Vec<_>, Vec<_>) = cases.into_iter().partition(Case::has_legal_names);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|why| format!("{}: {why}\n  {}", case.text("tag"), case.0)))
        .collect();
    assert!(!cases.is_empty(), "{file} has no cases");
    assert!(wrong.is_empty(), "{} of {} cases of {file} disagree:\n{}", wrong.len(), cases.len(), {
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    });
    println!("{file}: {} cases agree, {} have names that cannot be passed", cases.len(), unnameable.len());
}

#[expect(clippy::needless_pass_by_value, reason = "callers read better")]
fn agree<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: ours {ours:?}, flipper-client's {theirs:?}")) }
}

fn no_draw() -> f64 {
    panic!("nothing random was to be asked")
}
