use flipper_core::{ErrorKind, Expect, Flag, Store};

use super::{Outcome, flag, name, put, stored};
use crate::Subject;

/// Records come back byte for byte, whoever has written them, and also after an edit.
pub async fn bytes_are_kept_as_they_are<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    if !store.capabilities().whole_records {
        return Outcome::Absent("whole records");
    }
    let foreign = " {\"owner\":\"é\\ud800\", \"is_enabled\" : true,\"feature_name\":\"X\",\"n\":[1E5,1e400,NaN,\
                   1208925819614629174706176,-0.0],\n \"meta\": {\"a\": 1, \"a\": 2, \"created_date\": 1.0e9, \
                   \"bucketer\": {\"type\": \"Sticky\"}} }\n";
    let mut foreign = Flag::from_json(foreign.as_bytes()).unwrap();
    put(&*store, &foreign).await;
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(foreign.as_json()));
    foreign.set_enabled(false).unwrap();
    put(&*store, &foreign).await;
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(foreign.as_json()));
    // One that flipper-client can read, and would write otherwise.
    let spaced =
        b" { \"feature_name\":\"X\",\n\"is_enabled\":true,\"more\":1E2,\"meta\":{\"created_date\":1} }";
    let spaced = Flag::from_json(spaced).unwrap();
    put(&*store, &spaced).await;
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(spaced.as_json()));
    Outcome::Proven
}

/// A record of 100,000 bytes is kept as it is, or refused as `InvalidInput`; it is never cut.
pub async fn large_records_are_kept_or_refused<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let mut large = flag("X", 1);
    let data = serde_json::json!({"text": "ü".repeat(16_000)});
    large.merge_client_data(data.as_object().unwrap()).unwrap();
    match store.put(&large, Expect::Any).await {
        Ok(_) => assert_eq!(stored(&*store, "X").await.as_deref(), Some(large.as_json())),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(stored(&*store, "X").await, None);
        }
    }
    Outcome::Proven
}

/// A flag is stored under its name, whatever name is in the record, which is kept.
pub async fn the_key_is_the_name<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    if !store.capabilities().whole_records {
        return Outcome::Absent("whole records");
    }
    let renamed = Flag::read(name("NEW"), flag("OLD", 1).as_json().as_bytes()).unwrap();
    put(&*store, &renamed).await;
    let found = store.get(name("NEW")).await.unwrap().expect("the flag under its key").value;
    assert_eq!((found.name(), found.stored_name().as_deref()), ("NEW", Some("OLD")));
    assert_eq!(stored(&*store, "OLD").await, None);
    Outcome::Proven
}
