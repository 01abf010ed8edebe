//! Servers of the published service: what is left out of what they send, and writes that are several calls.

use std::collections::HashMap;
use std::time::Duration;

use flipper_core::{
    CompareAndSet, Condition, ErrorKind, Expect, FeatureFlagClient, Flag, Listed, Page, Store, ctx,
};
use flipper_testkit::{collect, next};
use flipper_thrift::ThriftStore;
use serde_json::{Value as Json, json};

use super::{PythonServer, builder, hasty};
use crate::peer::Python;
use crate::records::{flag, name, put, watch};

async fn planted(items: &[Json]) -> (PythonServer, ThriftStore) {
    let mut server = PythonServer::parts("buffered");
    for item in items {
        server.plant(item);
    }
    let store = builder(server.address()).connect().await.unwrap();
    (server, store)
}

/// An item whose parts can be left out.
fn item(of: &str, change: impl FnOnce(&mut serde_json::Map<String, Json>)) -> Json {
    let mut item =
        json!({"feature_name": of, "is_enabled": true, "meta": {"created_date": 1, "client_data": "{}"}});
    change(item.as_object_mut().unwrap());
    item
}

/// An item with something in its meta.
fn meta(of: &str, key: &str, value: Json) -> Json {
    item(of, |item| _ = item["meta"].as_object_mut().unwrap().insert(key.to_owned(), value))
}

/// An item with one condition.
fn condition(of: &str, condition: &Json) -> Json {
    meta(of, "conditions", json!([condition]))
}

/// Items, and what flipper-client makes of each: a part of the record, or of what is wrong.
fn cases() -> Vec<(Json, Result<&'static str, &'static str>)> {
    let check = json!({"variable": "a", "value": "1", "operator": {"symbol": "gt"}});
    let without = |part: &str| {
        let mut check = check.clone();
        check.as_object_mut().unwrap().remove(part);
        check
    };
    vec![
        (item("no-switch", |item| _ = item.remove("is_enabled")), Ok(r#""is_enabled": null"#)),
        (
            item("no-date", |item| _ = item["meta"].as_object_mut().unwrap().remove("created_date")),
            Ok(r#""created_date": null"#),
        ),
        (
            item("no-data", |item| _ = item["meta"].as_object_mut().unwrap().remove("client_data")),
            Ok(r#""client_data": {}"#),
        ),
        (meta("null-data", "client_data", json!("null")), Ok(r#""client_data": null"#)),
        (meta("no-conditions", "conditions", json!([])), Ok(r#""conditions": []"#)),
        (condition("empty-condition", &json!({})), Ok(r#""conditions": []"#)),
        (condition("no-checks", &json!({"a": []})), Ok(r#""conditions": []"#)),
        (
            condition("equality", &json!({"a": [{"variable": "a", "value": "1", "operator": {}}]})),
            Ok(r#""operator": null"#),
        ),
        (
            condition("whole", &json!({"a": [check]})),
            Ok(r#"[{"a": [{"variable": "a", "value": 1, "operator": "gt"}]}]"#),
        ),
        // One condition keeps one of two checks that differ in their value alone, and both have to pass.
        (
            condition(
                "twice",
                &json!({"a": [{"variable": "a", "value": "1", "operator": {"symbol": "ne"}},
                {"variable": "a", "value": "2", "operator": {"symbol": "ne"}}]}),
            ),
            Ok(
                r#"[{"a": [{"variable": "a", "value": 1, "operator": "ne"}]}, {"a": [{"variable": "a", "value": 2, "operator": "ne"}]}]"#,
            ),
        ),
        (
            condition(
                "foreign",
                &json!({"a": [{"variable": "a", "value": "1", "operator": {"symbol": "near"}}]}),
            ),
            Ok(r#""operator": "near""#),
        ),
        (
            condition(
                "no-symbol",
                &json!({"a": [{"variable": "a", "value": "1", "operator": {"symbol": ""}}]}),
            ),
            Ok(r#""operator": """#),
        ),
        (
            meta("foreign-bucketer", "bucketer", json!(r#" {"type": "Sticky"} "#)),
            Ok(r#""bucketer": {"type": "Sticky"}}"#),
        ),
        (item("no-meta", |item| _ = item.remove("meta")), Err("`meta`")),
        (meta("bad-data", "client_data", json!("")), Err("`client_data` is no JSON")),
        (
            meta("half-data", "client_data", json!(r#"{}, "created_date": 5, "x": {}"#)),
            Err("`client_data` is no JSON"),
        ),
        (meta("null-bucketer", "bucketer", json!("null")), Err("bucketer is null")),
        (meta("bad-bucketer", "bucketer", json!("{")), Err("`bucketer` is no JSON")),
        (condition("no-variable", &json!({"a": [without("variable")]})), Err("no `variable`")),
        (condition("no-value", &json!({"a": [without("value")]})), Err("no `value`")),
        (condition("no-operator", &json!({"a": [without("operator")]})), Err("no `operator`")),
    ]
}

#[tokio::test]
async fn what_is_left_out_is_as_flipper_client_has_it() {
    let cases = cases();
    let items: Vec<_> = cases.iter().map(|(item, _)| item.clone()).collect();
    let (server, store) = planted(&items).await;
    let mut listed = HashMap::new();
    for record in collect(store.list(Page::ALL)).await {
        let (of, read) = match record.unwrap() {
            Listed::Flag(found) => (found.value.name().to_owned(), Ok(found.value.as_json().to_owned())),
            Listed::Bad { name, error, .. } => (name.into(), Err(error)),
            other => panic!("{other:?}"),
        };
        listed.insert(of, read);
    }
    assert_eq!(listed.len(), cases.len());
    let mut python = Python::start("1.3.2", "thrift", server.address().port(), "buffered");
    for (item, expected) in cases {
        let of = item["feature_name"].as_str().unwrap();
        let read = store.get(name(of)).await;
        python.tell(&json!(["store", "get", of]));
        let theirs = python.try_answer();
        match (expected, &read, &listed[of]) {
            (Ok(part), Ok(Some(found)), Ok(listed)) => {
                assert!(found.value.as_json().contains(part), "{of}: {}", found.value.as_json());
                assert_eq!(found.value.as_json(), listed);
                // It refuses operators and bucketers that it does not know.
                assert_eq!(
                    theirs.is_ok(),
                    !["foreign", "no-symbol", "foreign-bucketer"].contains(&of),
                    "{of}"
                );
            }
            (Err(part), Err(error), Err(listed)) => {
                assert_eq!((error.kind(), listed.kind()), (ErrorKind::Corrupt, ErrorKind::Corrupt), "{of}");
                assert!(error.message().contains(part), "{of}: {error}");
                assert!(theirs.is_err(), "{of}: {theirs:?}");
            }
            other => panic!("{of}: {other:?}"),
        }
    }
    // What it does not understand is the default, and what is missing counts as on.
    let client = FeatureFlagClient::new(store);
    assert!(client.is_enabled("no-switch", &ctx! { a: 1 }).await);
    assert!(client.is_enabled_or("foreign", &ctx! { a: 1 }, true).await);
    assert!(
        !client.is_enabled("twice", &ctx! { a: 2 }).await && client.is_enabled("twice", &ctx! { a: 3 }).await
    );
}

#[tokio::test]
async fn the_order_of_variables_is_kept() {
    let (server, store) = planted(&[]).await;
    let mut ordered = flag("X", 5);
    let checks = Condition::builder().eq("z", 1).eq("a", 2).eq("m", 3).gt("z", 0).build().unwrap();
    ordered.add_condition(&checks).unwrap();
    store.put(&ordered, Expect::Any).await.unwrap();
    assert_eq!(store.get(name("X")).await.unwrap().unwrap().value.as_json(), ordered.as_json());
    drop(server);
}

/// The states of a flag that a reader can meet, by how many of the calls of a write got through.
async fn states(before: Option<&Flag>, after: &Flag) -> Vec<Option<Flag>> {
    let mut states = Vec::new();
    for changes in 0.. {
        // What is there before takes calls itself.
        let mut server = PythonServer::dies_after(changes);
        if let Some(before) = before {
            let stored: Json = serde_json::from_str(before.as_json()).unwrap();
            let conditions = stored["meta"]["conditions"].as_array().unwrap().iter().map(|condition| {
                let of = |(variable, checks): (&String, &Json)| {
                    let sent = checks.as_array().unwrap().iter().map(|check| {
                        let operator = check["operator"].as_str().map_or(json!({}), |symbol| json!({"symbol": symbol}));
                        json!({"variable": check["variable"], "value": check["value"].to_string(), "operator": operator})
                    });
                    (variable.clone(), Json::Array(sent.collect()))
                };
                Json::Object(condition.as_object().unwrap().iter().map(of).collect())
            });
            server.plant(&json!({"feature_name": "X", "is_enabled": stored["is_enabled"], "meta": {
                "created_date": stored["meta"]["created_date"], "client_data": "{}",
                "conditions": conditions.collect::<Vec<_>>()}}));
        }
        let store = hasty(server.address()).connect().await.unwrap();
        let watcher = hasty(server.address()).connect().await.unwrap();
        // As it is after each call: whoever reads in between sees what is there when the next call has not come.
        let (done, seen) = tokio::join!(store.put(after, Expect::Any), async {
            let mut seen = None;
            while let Ok(found) = watcher.get(name("X")).await {
                seen = Some(found.map(|found| found.value));
                tokio::time::sleep(Duration::from_millis(1)).await;
                if seen.as_ref().is_some_and(|flag| flag.as_ref() == Some(after)) {
                    break;
                }
            }
            seen
        });
        states.push(seen.flatten());
        match done {
            Ok(_) => return states,
            Err(error) => assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}"),
        }
        assert!(changes < 10);
    }
    states
}

fn guarded(is_on: bool, value: i64) -> Flag {
    let mut flag = flag("X", 7);
    flag.add_condition(&Condition::builder().eq("admin", value).build().unwrap()).unwrap();
    flag.set_enabled(is_on).unwrap();
    flag
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_between_calls_leaves_no_flag_half_built() {
    for (before, after) in [
        (None, guarded(true, 1)),
        (None, guarded(false, 1)),
        (Some(guarded(false, 1)), guarded(true, 2)),
        (Some(guarded(true, 1)), guarded(false, 2)),
        (Some(guarded(true, 1)), guarded(true, 2)),
    ] {
        let states = states(before.as_ref(), &after).await;
        println!(
            "{:?} -> {}: {} calls",
            before.as_ref().map(Flag::as_json),
            after.as_json(),
            states.len() - 1
        );
        for state in states.iter().flatten() {
            // On, it has the conditions of before or of after: nobody is let in who was in neither.
            let is_whole = Some(state) == before.as_ref() || *state == after;
            assert!(is_whole || !state.is_switched_on(), "{}", state.as_json());
        }
        assert!(states.len() > 1);
        let last = states.last().unwrap().as_ref();
        assert!(last.is_none() || last == Some(&after) || last == before.as_ref(), "{last:?}");
    }
}

#[tokio::test]
async fn what_is_expected_is_looked_at() {
    let (_server, store) = planted(&[]).await;
    let capabilities = store.capabilities();
    assert_eq!(capabilities.conditional_put, CompareAndSet::BestEffort);
    assert_eq!(capabilities.conditional_delete, CompareAndSet::BestEffort);
    let first = put(&store, "X", 1).await;
    let second = put(&store, "X", 2).await;
    let conflict = store.put(&flag("X", 3), Expect::Matches(&first)).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(store.put(&flag("X", 3), Expect::Absent).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        store.delete(name("X"), Expect::Matches(&first)).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert!(store.delete(name("X"), Expect::Matches(&second)).await.unwrap());
    assert!(!store.delete(name("X"), Expect::Matches(&second)).await.unwrap());
}

#[tokio::test]
async fn changes_are_polled() {
    let (mut server, _) = planted(&[]).await;
    let store = builder(server.address()).poll_interval(Duration::from_millis(20)).connect().await.unwrap();
    let mut changes = watch(&store).await;
    server.plant(&item("X", |_| {}));
    let change = next(&mut changes).await;
    assert!(
        matches!(&change, Some(flipper_core::Change::Put(found)) if found.value.name() == "X"),
        "{change:?}"
    );
}
