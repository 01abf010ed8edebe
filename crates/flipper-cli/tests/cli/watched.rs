//! Changes as they happen.

use std::fs;

use flipper_testkit::RedisServer;
use serde_json::Value;

use crate::support::{User, record, redis_set};

#[test]
fn changes_by_any_writer_are_told_in_words() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    user.done("create X");
    let mut watching = user.started("watch");
    assert_eq!(watching.note(), "watching 1 flags");
    let mut changed = |change: &dyn Fn(), told: &str| {
        change();
        let line = watching.line();
        let (clock, rest) = line.split_once("  ").unwrap();
        assert_eq!((clock.len(), rest), (8, told));
    };
    changed(&|| drop(user.done("enable X")), "X: switched on");
    changed(
        &|| drop(user.done("bucket hash X 10% --by user_id")),
        "X: now for 10 % by user_id, before for everybody",
    );
    // Somebody who knows nothing of this program.
    changed(
        &|| redis_set(server.address(), b"features/Y", record("Y", true).as_bytes()),
        "Y: created, on for everybody",
    );
    changed(&|| redis_set(server.address(), b"features/Y", record("Y", false).as_bytes()), "Y: switched off");
    changed(
        &|| redis_set(server.address(), b"features/Y", b"nonsense"),
        "Y: cannot be read any more: not JSON: expected a value, found 'n' at line 1, column 1 (byte 0)",
    );
    changed(
        &|| redis_set(server.address(), b"features/Y", record("Y", true).as_bytes()),
        "Y: can be read again, on for everybody",
    );
    changed(&|| drop(user.done("destroy X")), "X: deleted");
    watching.signal("-INT");
    assert_eq!(watching.ended(), Some(0));
}

#[test]
fn a_watch_goes_on_after_an_outage_and_tells_what_was_missed() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]);
    let user = User::at(server.url());
    user.done("create X");
    let mut watching = user.started("watch --count 2 --json");
    watching.note();
    user.done("enable X");
    let change: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!(
        (change["change"].as_str(), change["after"]["is_enabled"].as_bool()),
        (Some("changed"), Some(true))
    );
    server.kill();
    assert!(watching.note().starts_with("changes cannot be followed at present: "));
    server.restart();
    user.done("destroy X");
    let change: Value = serde_json::from_str(&watching.line()).unwrap();
    assert_eq!((change["change"].as_str(), &change["after"]), (Some("deleted"), &Value::Null));
    assert_eq!(watching.ended(), Some(0));
}

#[test]
fn a_watch_ends_when_nobody_reads_it_though_nothing_happens() {
    let user = User::new();
    user.done("create X");
    let mut watching = user.started("watch");
    watching.note();
    watching.close();
    assert_eq!(watching.ended(), Some(0));
    assert_eq!(watching.note(), "");
}

#[test]
fn a_watch_tells_only_of_the_flags_that_were_asked_for() {
    let user = User::new();
    let mut watching = user.started("watch a.* --count 1");
    assert_eq!(watching.note(), "watching 0 flags");
    user.done("create b.one");
    user.done("create a.one");
    assert!(watching.line().ends_with("a.one: created, off"));
    assert_eq!(watching.ended(), Some(0));
}

#[test]
fn an_edit_by_hand_is_told_too() {
    let user = User::new();
    user.done("create X");
    let mut watching = user.started("watch --count 1");
    watching.note();
    let path = user.file("flags.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"is_enabled\": false", "\"is_enabled\": true");
    fs::write(&path, text).unwrap();
    assert!(watching.line().ends_with("X: switched on"));
}
