//! The bodies of the fuzzers: plain functions, which `scripts/fuzz` runs by the million and the tests run over the
//! corpora in `fuzz/corpus`. Each panics when it finds something.

use std::time::Duration;

use flipper_core::json::{self, Value};
use flipper_core::{
    Attribute, Bucketer, Condition, Context, Evaluator, FeatureFlagClient, Flag, Operator, Percentage,
    Semantics, Timestamp, ctx,
};
use flipper_memory::MemoryStore;
use flipper_thrift::ThriftServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Any bytes as a stored flag: read, rewritten, edited, evaluated, explained.
pub fn stored_bytes(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        if let Ok(value) = Value::parse(text) {
            let written = value.to_json();
            let again = Value::parse(&written);
            assert_eq!(again.as_ref().ok(), Some(&value), "{written}");
        }
        members(text);
    }
    let Ok(mut flag) = Flag::from_json(data) else { return };
    assert_eq!(flag.as_json().as_bytes(), data);

    evaluate(&flag);
    let now = Timestamp::from_secs(1_700_000_000);
    if let Ok(rewritten) = flag.rewritten_by_flipper_client(now) {
        let python = Flag::from_json(rewritten.as_bytes());
        let python = python.unwrap_or_else(|error| unreachable!("{error}: {rewritten}"));
        assert_eq!(python.rewritten_by_flipper_client(now).ok(), Some(rewritten));
        assert_eq!(python.conditions(), flag.conditions());
    }

    let before = flag.clone();
    let was_on = flag.is_switched_on();
    assert!(flag.set_enabled(!was_on).is_ok());
    assert_eq!(flag.is_switched_on(), !was_on);
    let condition = Condition::builder().gt("added", 1).build();
    let condition = condition.unwrap_or_else(|error| unreachable!("{error}"));
    assert!(flag.add_condition(&condition).is_ok());
    assert_eq!(flag.conditions().last(), Some(&condition));
    assert!(flag.set_bucketer(before.bucketer()).is_ok());
    assert_eq!(format!("{:?}", flag.bucketer()), format!("{:?}", before.bucketer()));
    assert!(flag.set_conditions(before.conditions()).is_ok());
    assert_eq!(flag.conditions(), before.conditions());
    evaluate(&flag);
}

/// Splits a file of records, and compares each with the same text by itself.
fn members(text: &str) {
    let whole = Value::parse(text);
    let Ok(members) = json::members(text) else {
        assert!(!matches!(whole, Ok(Value::Object(_))), "an object that cannot be split");
        return;
    };
    for (name, span) in &members {
        let value = Value::parse(&text[span.clone()]);
        let value = value.unwrap_or_else(|error| unreachable!("{error}: {}", &text[span.clone()]));
        // Of a name that stands twice, the last one counts in an object.
        let is_last = members.iter().rfind(|(other, _)| other == name).map(|(_, last)| last) == Some(span);
        if let (Ok(Value::Object(object)), Some(name), true) = (&whole, name.as_str(), is_last) {
            assert_eq!(object.get(name), Some(&value));
        }
    }
}

/// Asks about everything that the flag's checks are about, and a little more.
fn evaluate(flag: &Flag) {
    let names: Vec<&str> = flag
        .conditions()
        .iter()
        .flat_map(Condition::checks)
        .filter_map(|check| check.variable().as_str())
        .take(8)
        .collect();
    let operands: Vec<&Value> = flag
        .conditions()
        .iter()
        .flat_map(Condition::checks)
        .map(flipper_core::Check::operand)
        .take(8)
        .collect();
    let pairs: Vec<_> =
        names.iter().zip(&operands).map(|(name, value)| (*name, Attribute::Value(value))).collect();
    let shifted: Vec<_> = names
        .iter()
        .zip(operands.iter().rev())
        .map(|(name, value)| (*name, Attribute::Value(value)))
        .collect();
    let (clock, random) = (|| Timestamp::from_secs(1_700_000_000), || 0.5);
    for semantics in [Semantics::Documented, Semantics::FlipperClient] {
        let evaluator = Evaluator::new().with_semantics(semantics).with_clock(&clock).with_random(&random);
        for context in
            [Context::EMPTY, ctx! { a: 1, user_id: "é" }, Context::new(&pairs), Context::new(&shifted)]
        {
            let evaluation = evaluator.evaluate(flag, &context, false);
            assert_eq!(evaluation.value, evaluator.is_enabled(flag, &context, false));
            let explanation = evaluator.explain(flag, &context, false);
            assert_eq!(explanation.evaluation, evaluation);
            assert!(explanation.to_string().starts_with(&format!("{:?} is ", flag.name())));
        }
    }
}

/// The first line as the variable of a stored check, the second as its operator, the rest as its value; and the first
/// line as a keyword.
pub fn check_keys(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (variable, operator) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let value = Value::parse(lines.next().unwrap_or_default()).unwrap_or_default();

    let json = |text: &str| Value::from(text).to_json();
    let record = format!(
        r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "conditions": [{{"": [{{"variable": {}, "value": {}, "operator": {}}}]}}]}}}}"#,
        json(variable),
        value.to_json(),
        if operator.is_empty() { "null".to_owned() } else { json(operator) },
    );
    let flag = Flag::from_json(record.as_bytes()).unwrap_or_else(|error| unreachable!("{error}: {record}"));
    let check = &flag.conditions()[0].checks()[0];

    // flipper-client joins and splits.
    let keyword = if operator.is_empty() { variable.to_owned() } else { format!("{variable}__{operator}") };
    let parts: Vec<&str> = keyword.split("__").collect();
    if let [variable, symbol] = parts[..] {
        assert!(*check.variable() == *variable, "{check:?}");
        assert_eq!(check.symbol().as_deref(), Some(symbol));
        assert_eq!(check.operator(), Operator::from_symbol(symbol));
    } else {
        assert!(*check.variable() == *keyword, "{check:?}");
        assert_eq!(check.operator(), Some(Operator::Eq));
    }
    evaluate(&flag);

    // What can be built is read as it was built, by flipper-client too.
    if let Ok(condition) = Condition::from_keywords([(keyword.as_str(), value)]) {
        let mut built = flag.clone();
        assert!(built.set_conditions([&condition]).is_ok());
        assert_eq!(built.conditions(), [condition]);
        assert!(built.rewritten_by_flipper_client(Timestamp::from_secs(0)).is_ok());
    }
}

/// Numbers for ramps, and a text as a stored percentage.
pub fn percentages(data: &[u8]) {
    let mut numbers =
        data.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    let mut next = || numbers.next().unwrap_or_default();
    let (initial, last) = (f64::from_bits(next()), f64::from_bits(next()));
    let (duration, start) = (Duration::from_micros(next()), Timestamp::from_micros(next() as i64));
    assert_eq!(Percentage::new(initial).is_ok(), (0.0..=1.0).contains(&initial), "{initial}");
    if let Ok(ramp) = Percentage::linear_ramp(initial, last, duration, start) {
        let mut times: Vec<i64> = (0..6).map(|_| next() as i64).collect();
        let end = start + duration;
        times.extend([start.as_micros(), end.as_micros(), i64::MIN, i64::MAX]);
        times.sort_unstable();
        let mut shares: Vec<f64> =
            times.iter().filter_map(|time| ramp.value_at(Timestamp::from_micros(*time))).collect();
        assert_eq!(shares.len(), times.len());
        assert!(
            shares.iter().all(|share| (f64::min(initial, last)..=f64::max(initial, last)).contains(share))
        );
        if initial > last {
            shares.reverse();
        }
        assert!(shares.is_sorted(), "{shares:?}");
        for time in times {
            // Whatever it is, there is one: the start is a year that Python knows.
            assert!(ramp.value_under(Semantics::FlipperClient, Timestamp::from_micros(time)).is_some());
        }
    }

    let Ok(text) = str::from_utf8(data) else { return };
    for kind in ["PercentageBucketer", "ConsistentHashPercentageBucketer"] {
        let record = format!(
            r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "bucketer": {{"type": "{kind}", "percentage": {text}}}}}}}"#
        );
        let Ok(flag) = Flag::from_json(record.as_bytes()) else { continue };
        if let Some(percentage) = flag.bucketer().as_percentage() {
            let now = Timestamp::from_secs(1_700_000_000);
            let buckets = percentage.buckets(now);
            assert_eq!(buckets.is_some(), percentage.value_at(now).is_some());
            assert!(buckets.is_none_or(|buckets| buckets <= 100));
        }
        assert!(!matches!(flag.bucketer(), Bucketer::NoOp) || text.contains("type"));
        evaluate(&flag);
    }
}

/// Any bytes as what a peer sends to a Thrift server: it answers or hangs up, and the next peer is served.
pub fn thrift_messages(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| unreachable!("{error}"));
    runtime.block_on(async {
        // A store of its own, as what is sent may create flags.
        let server = ThriftServer::new(FeatureFlagClient::new(MemoryStore::new()));
        let answers = thrift_answers(&server, data).await;
        // No message is answered by much more than there is, and there is nothing but what was sent.
        let longest = 4096 + 64 * data.len();
        assert!(answers.len() <= longest, "{} bytes as answers", answers.len());
        let describe = [&[0x80, 1, 0, 1, 0, 0, 0, 8][..], b"Describe", &[0, 0, 0, 1, 0]].concat();
        let answer = thrift_answers(&server, &describe).await;
        assert!(answer.starts_with(&[0x80, 1, 0, 2, 0, 0, 0, 8]), "the next peer is not served");
    });
}

/// Sends bytes to a server, and reads all that it answers.
async fn thrift_answers(server: &ThriftServer, data: &[u8]) -> Vec<u8> {
    let (peer, stream) = tokio::io::duplex(1 << 12);
    let (mut from_server, mut to_server) = tokio::io::split(peer);
    let mut answers = Vec::new();
    let send = async {
        // The server may have hung up before it has read everything.
        let _ = to_server.write_all(data).await;
        let _ = to_server.shutdown().await;
    };
    let ((), _, ()) =
        tokio::join!(send, from_server.read_to_end(&mut answers), server.serve_stream(stream, "fuzz"));
    answers
}
