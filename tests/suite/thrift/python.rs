//! flipper-client at the other end: both releases before our server, and our store before servers in Python.

use flipper_core::{
    Bucketer, Condition, Context, Expect, FeatureFlagClient, Flag, Percentage, Semantics, Store, Timestamp,
    ctx,
};
use flipper_memory::MemoryStore;
use serde_json::{Value as Json, json};

use super::{PythonServer, builder, on_memory, record, server_of, start};
use crate::peer::Python;
use crate::records::{names, put};

const NAME: &str = "drapeau é☃😀 / %2F?";

/// The releases, with each transport.
fn peers() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["1.2.3", "1.3.2"]
        .into_iter()
        .flat_map(|release| ["buffered", "framed"].map(|transport| (release, transport)))
}

#[tokio::test(flavor = "multi_thread")]
async fn python_uses_our_server_for_every_call() {
    for (release, transport) in peers() {
        let flags =
            FeatureFlagClient::builder(MemoryStore::new()).semantics(Semantics::FlipperClient).build();
        let server = start(server_of(&flags)).await;
        let mut python = Python::start(release, "thrift", server.local_address().port(), transport);
        assert_eq!(python.ask(&json!(["exists", NAME])), false);
        python.ask(&json!(["create", NAME, false, {"ñ": [1, 2.5, null]}]));
        assert!(!flags.is_enabled(NAME, &Context::EMPTY).await);
        python.ask(&json!(["enable", NAME]));
        assert!(flags.is_enabled(NAME, &Context::EMPTY).await);
        python.ask(&json!(["add_condition", NAME, {"is_admin": true, "age__gte": 18, "age__lt": 30}]));
        python.ask(&json!(["set_bucketer", NAME, "hash", [0.2, 0.8, 1800, null], ["user_id"]]));
        python.ask(&json!(["set_client_data", NAME, {"big": 1_u64 << 60, "ñ": "é"}]));
        for user_id in 0..40 {
            let keywords = json!({"is_admin": user_id % 3 == 0, "age": user_id, "user_id": user_id});
            let expected = python.ask(&json!(["is_enabled", NAME, keywords]));
            let context = ctx! { is_admin: user_id % 3 == 0, age: user_id, user_id: user_id };
            assert_eq!(expected, json!(flags.is_enabled(NAME, &context).await), "{release}: {keywords}");
        }
        // One condition of three checks is three of one to flipper-client, which wrote it back twice.
        let flag = flags.store().get(crate::records::name(NAME)).await.unwrap().unwrap().value;
        assert_eq!(flag.conditions().iter().map(|condition| condition.checks().len()).sum::<usize>(), 3);
        assert_eq!(flag.client_data().to_json(), "{\"\\u00f1\": \"\\u00e9\", \"big\": 1152921504606846976}");
        let stored = python.ask(&json!(["stored"]));
        let ours = serde_json::to_value(flags.get_meta(NAME).await.unwrap()).unwrap();
        assert_eq!(stored[NAME], ours, "{release}");

        // A flag that is replaced loses its conditions.
        python.ask(&json!(["create", NAME, true, {}]));
        let replaced = flags.store().get(crate::records::name(NAME)).await.unwrap().unwrap().value;
        assert!(replaced.conditions().is_empty() && replaced.is_switched_on());
        python.ask(&json!(["disable", NAME]));
        assert!(!flags.is_enabled(NAME, &Context::EMPTY).await);
        python.ask(&json!(["destroy", NAME]));
        assert!(!flags.exists(NAME).await.unwrap());
        // What flipper-client's stores make of what is not there.
        python.ask(&json!(["store", "delete", NAME]));
        python.ask(&json!(["store", "set", "MADE-BY-SET", false]));
        assert!(!flags.try_is_enabled("MADE-BY-SET", &Context::EMPTY).await.unwrap());
        for number in 0..5 {
            python.ask(&json!(["create", format!("F{number}"), true, null]));
        }
        let listed = python.ask(&json!(["store", "list", 2, 1]));
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert_eq!(listed[0][0], "F1", "{listed}");
        assert_eq!(python.ask(&json!(["store", "list", null, 0])).as_array().unwrap().len(), 6);
        assert_eq!(python.ask(&json!(["store", "list", 0, 0])), json!([]));
        // All on one connection.
        assert_eq!(server.connections(), 1);
    }
}

/// A flag with all that there is.
fn full(name: &str) -> Flag {
    let mut flag = crate::records::flag(name, 1_700_000_123);
    let ramp = Percentage::linear_ramp(
        0.2,
        0.8,
        std::time::Duration::from_mins(30),
        Timestamp::from_secs(1_700_000_000),
    );
    flag.set_bucketer(&Bucketer::consistent_hash(ramp.unwrap(), ["user_id", "é"])).unwrap();
    let data = json!({"foo": [1, {"é": null}], "n": u64::MAX});
    flag.merge_client_data(data.as_object().unwrap()).unwrap();
    // In an order that is not that of the alphabet.
    let checks = Condition::builder().lte("z", 99).eq("b", "x").gt("z", 1).is_in("a", ["p", "q"]);
    flag.add_condition(&checks.build().unwrap()).unwrap();
    flag.add_condition(&Condition::builder().ne("n", 1.5).build().unwrap()).unwrap();
    flag.set_enabled(true).unwrap();
    flag
}

#[tokio::test(flavor = "multi_thread")]
async fn our_store_uses_servers_in_python_for_every_call() {
    for transport in ["buffered", "framed"] {
        for has_records in [false, true] {
            let server =
                if has_records { PythonServer::records(transport) } else { PythonServer::parts(transport) };
            let address = format!("thrift://{}?transport={transport}", server.address());
            let store = builder(&address).connect().await.unwrap();
            assert_eq!(store.capabilities().whole_records, has_records);
            let flag = full(NAME);
            let version = store.put(&flag, Expect::Absent).await.unwrap();
            let found = store.get(crate::records::name(NAME)).await.unwrap().unwrap();
            assert_eq!(found.value.as_json(), flag.as_json(), "{transport} {has_records}");
            assert_eq!(found.version, version);
            for number in 0..3 {
                put(&store, &format!("F{number}"), number).await;
            }
            assert_eq!(names(&store, flipper_core::Page { limit: Some(2), offset: 1 }).await.0, ["F1", "F2"]);
            assert!(store.delete(crate::records::name("F0"), Expect::Any).await.unwrap());
            assert!(!store.delete(crate::records::name("F0"), Expect::Any).await.unwrap());

            // flipper-client reads from the same server what we have written, and the other way round.
            let mut python = Python::start("1.3.2", "thrift", server.address().port(), transport);
            let client = FeatureFlagClient::builder(store).semantics(Semantics::FlipperClient).build();
            for number in 0..20 {
                let keywords = json!({"z": number * 7, "b": "x", "a": "p", "n": number});
                let context = ctx! { z: number * 7, b: "x", a: "p", n: number };
                let expected = python.ask(&json!(["is_enabled", NAME, keywords]));
                assert_eq!(expected, json!(client.is_enabled(NAME, &context).await), "{keywords}");
            }
            python.ask(&json!(["set_client_data", NAME, {"from": "python"}]));
            assert_eq!(client.get_client_data(NAME).await.unwrap()["from"], "python");
            client.disable(NAME).await.unwrap();
            assert_eq!(python.ask(&json!(["is_enabled", NAME, {}])), false);
            python.ask(&json!(["destroy", NAME]));
            assert!(!client.exists(NAME).await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_python_and_of_ours_at_the_same_time() {
    let (server, flags) = on_memory().await;
    flags.create("X").await.unwrap();
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..8 {
        let client = super::client(server.local_address()).await;
        editors.spawn(async move {
            for number in 0..25 {
                let data: Json = json!({ format!("{editor}-{number}"): true });
                client.set_client_data("X", data.as_object().unwrap()).await.unwrap();
            }
        });
    }
    // On a flag of its own: on the same one, flipper-client would replace what it has not seen.
    python.ask(&json!(["create", "Y", false, {}]));
    python.ask(&json!(["edit", "Y", 100]));
    editors.join_all().await;
    assert_eq!(flags.get_client_data("X").await.unwrap().len(), 200);
    assert_eq!(flags.get_client_data("Y").await.unwrap().len(), 100);
    assert!(record(flags.store(), "X").await.is_some());
}
