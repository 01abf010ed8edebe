//! Records as the stores of flipper-client keep them.

use flipper_core::{Flag, FlagName, Timestamp};
use serde_json::Value as Json;

/// The records of a file by key; `thrift` has calls instead.
pub(crate) fn records(file: &str) -> Vec<(String, String)> {
    let json: Json = serde_json::from_str(&super::read(file)).expect("JSON");
    let mut found = Vec::new();
    collect(&json, "", &mut found);
    found
}

fn collect(json: &Json, key: &str, found: &mut Vec<(String, String)>) {
    match json {
        Json::Object(members) => {
            if let Some(Json::String(value)) =
                members.get("value").filter(|_| members.contains_key("value_b64"))
            {
                found.push((key.to_owned(), value.clone()));
            }
            members.iter().for_each(|(key, member)| collect(member, key, found));
        }
        Json::Array(elements) => elements.iter().for_each(|element| collect(element, key, found)),
        _ => {}
    }
}

#[test]
fn records_of_every_store_are_read_and_kept_byte_for_byte() {
    for file in ["wire_redis.json", "wire_consul.json"] {
        let records = records(file);
        assert!(records.len() > 10, "{file} has {} records", records.len());
        for (key, value) in records {
            let Ok(flag) = Flag::from_json(value.as_bytes()) else { panic!("{file}: {key}: {value}") };
            let name = key.strip_prefix("features/").unwrap_or(&key);
            assert_eq!(flag.name(), name, "{file}");
            assert_eq!(flag.as_json(), value, "{file}: {key}");
            assert_eq!(flag.rewritten_by_flipper_client(Timestamp::now()).unwrap(), value, "{file}: {key}");
            assert_eq!(
                Flag::read(FlagName::new(name).unwrap(), value.as_bytes()).unwrap().stored_name(),
                None
            );
        }
    }
}
