use flipper_core::json::Value;
use flipper_core::{ErrorKind, Flag, Timestamp};

use super::{agree, for_each};

#[test]
fn items() {
    for_each("items.jsonl", |case| {
        let item = case.text("item");
        let flag = Flag::from_json(item.as_bytes());
        if case.has("load_error") {
            return match flag {
                Err(error) => agree("kind", error.kind(), ErrorKind::Corrupt),
                Ok(flag) => {
                    agree("rewrites", flag.rewritten_by_flipper_client(Timestamp::now()).is_ok(), false)
                }
            };
        }
        let mut flag = flag.map_err(|error| error.to_string())?;
        agree("bytes", flag.as_json(), item)?;
        let reread = case.text("reread");
        let rewritten =
            flag.rewritten_by_flipper_client(Timestamp::now()).map_err(|error| error.to_string())?;
        if case.bool("unordered_whitelist") {
            agree("rewritten, names sorted", sorted(&rewritten), sorted(reread))?;
        } else {
            agree("rewritten", &*rewritten, reread)?;
        }
        let meta =
            Flag::from_json(rewritten.as_bytes()).map_err(|error| error.to_string())?.meta().to_string();
        agree("meta", sorted(&meta), sorted(case.text("meta")))?;
        if case.bool("same_bytes") {
            // The writer alone, without the spans of the reader.
            agree("written", &*Value::parse(item).map_err(|error| error.to_string())?.to_string(), item)?;
        }
        let raw_is_enabled = case.text("raw_is_enabled");
        agree("switched on", flag.is_switched_on(), raw_is_enabled != "false")?;
        if flag.is_switched_on() == (raw_is_enabled == "true") {
            // Off and on again gives the very bytes.
            let was_on = flag.is_switched_on();
            flag.set_enabled(!was_on).unwrap();
            agree("switched", flag.is_switched_on(), !was_on)?;
            flag.set_enabled(was_on).unwrap();
            agree("bytes after switching twice", flag.as_json(), item)?;
        }
        Ok(())
    });
}

/// The text with the names of every whitelist in order: Python's sets have none.
fn sorted(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\"key_whitelist\": [") else { return text.to_owned() };
    let (names, after) = rest.split_once(']').expect("a list has an end");
    let mut names: Vec<&str> = names.split(", ").collect();
    names.sort_unstable();
    format!("{before}\"key_whitelist\": [{}]{after}", names.join(", "))
}
