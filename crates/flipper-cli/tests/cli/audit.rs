//! Audit logs: shown, verified, and asked for the past.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use flipper::audit::{AuditLog, AuditLogBuilder};
use flipper::{Condition, FeatureFlagClient, FileStore, MemoryStore, Timestamp};
use serde_json::Value;

use crate::support::User;

const KEY: &str = "a key of thirty-two random bytes";

/// 2023-11-14 22:13:20 UTC.
const START: i64 = 1_700_000_000;

/// Runs what needs a runtime.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A log of a flag that alice creates, switches on ten seconds later, and gives a condition after twenty; and bob deletes after thirty. Returns its head.
fn logged(user: &User, builder: AuditLogBuilder) -> String {
    let now = Arc::new(AtomicI64::new(START));
    let clock = Arc::clone(&now);
    let clock = move || Timestamp::from_secs(clock.load(Relaxed));
    let later = || now.fetch_add(10, Relaxed);
    run(async {
        let client = FeatureFlagClient::builder(MemoryStore::new()).clock(clock).build();
        let log = builder.open(user.file("audit.jsonl")).unwrap();
        log.subscribe_to(&client);
        let alice = client.as_actor("alice");
        alice.create("X").await.unwrap();
        later();
        alice.enable("X").await.unwrap();
        later();
        alice.add_condition("X", &Condition::builder().eq("plan", "gold").build().unwrap()).await.unwrap();
        later();
        client.as_actor("bob\u{1b}[31m").destroy("X").await.unwrap();
        log.head().to_string()
    })
}

#[test]
fn who_has_changed_what_is_shown_in_words() {
    let user = User::new();
    logged(&user, AuditLog::builder());
    let shown = user.done("audit show audit.jsonl --flag X");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "2023-11-14 22:13:20 UTC  #2  X: created, off, by alice",
            "2023-11-14 22:13:30 UTC  #3  X: switched on, by alice",
            "2023-11-14 22:13:40 UTC  #4  X: condition added: plan == \"gold\", by alice",
            "2023-11-14 22:13:50 UTC  #5  X: deleted, by bob\\u{1b}[31m",
        ]
    );
    let some = user.done("audit show audit.jsonl --flag X --since @1700000010 --until 2023-11-14T22:13:40Z");
    assert_eq!(some.lines().collect::<Vec<_>>(), lines[1..3]);
    assert!(user.done("audit show audit.jsonl").contains("#1  a file begins\n"));
    assert_eq!(user.done("audit show audit.jsonl --flag Y"), "");
    let json = user.done("audit show audit.jsonl --flag X --json");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["actor"], &lines[1]["seq"]), (4, &"alice".into(), &3.into()));
}

#[test]
fn a_log_that_is_as_it_was_written_has_a_head_and_one_that_is_not_the_first_wrong_line() {
    let user = User::new();
    let head = logged(&user, AuditLog::builder().rotate_at(1_500).key(KEY));
    fs::write(user.file("key"), format!("{KEY}\n")).unwrap();
    let verified = user.done("audit verify audit.jsonl --key-file key");
    assert!(verified.starts_with("7 lines in 3 files, all as they were written\nhead 7:"), "{verified}");
    let with_key = User::new().with("FLIPPER_AUDIT_KEY", KEY);
    let path = user.file("audit.jsonl");
    let path = path.to_str().unwrap();
    with_key.run(&["audit", "verify", path, "--head", &head]).with_code(0);
    let json = with_key.run(&["audit", "verify", path, "--json"]).with_code(0).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["is_intact"], &json["files"], &json["head"], &json["damage"]),
        (&true.into(), &3.into(), &head.as_str().into(), &Value::Null)
    );

    // Without the key nothing is said to be right, and the wrong one is no right one.
    for arguments in ["audit verify audit.jsonl", "audit verify audit.jsonl --json"] {
        let ran = user.flipper(arguments).with_code(3);
        assert!(!ran.out.contains(KEY) && !ran.err.contains(KEY));
    }
    // The last file is gone: nobody sees that without the head.
    fs::remove_file(path).unwrap();
    with_key.run(&["audit", "verify", path]).with_code(0);
    let ran = with_key.run(&["audit", "verify", path, "--head", &head]).with_code(3);
    assert!(ran.out.contains("cut off") && ran.out.contains("all is well up to line #5"), "{ran:?}");
    // A line is another one.
    let first = user.file("audit.jsonl.000001");
    let content = fs::read_to_string(&first).unwrap();
    fs::write(&first, content.replace("alice", "carol")).unwrap();
    let ran = with_key.run(&["audit", "verify", path]).with_code(3);
    assert!(ran.out.contains("audit.jsonl.000001, line 2: it was altered"), "{ran:?}");
    let ran = with_key.run(&["audit", "verify", path, "--json"]).with_code(3);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&json["damage"]["kind"], &json["damage"]["line"]), (&"altered".into(), &2.into()));
}

#[test]
fn a_key_is_read_as_it_is_from_wherever_it_comes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let user = User::new();
    logged(&user, AuditLog::builder().key(KEY));
    for end in ["", "\n", "\r\n"] {
        fs::write(user.file("key"), format!("{KEY}{end}")).unwrap();
        user.done("audit verify audit.jsonl --key-file key");
    }
    for empty in ["", "\n", "\r\n"] {
        fs::write(user.file("key"), empty).unwrap();
        let ran = user.flipper("audit verify audit.jsonl --key-file key").with_code(1);
        assert_eq!(ran.complaint(), "flipper: key: there is no key in the file");
    }
    // Random bytes need not be a text.
    let user = User::new();
    logged(&user, AuditLog::builder().key(b"\xff\xfe a key of random bytes"));
    let mut command = user.command(&["audit", "verify", "audit.jsonl"]);
    command.env("FLIPPER_AUDIT_KEY", OsStr::from_bytes(b"\xff\xfe a key of random bytes"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_past_is_told_and_explained() {
    let user = User::new();
    logged(&user, AuditLog::builder());
    let then = user
        .run(&["audit", "at", "audit.jsonl", "X", "plan=lead", "--at", "2023-11-14 22:13:45"])
        .with_code(0)
        .out;
    assert_eq!(
        then,
        "\"X\", as it was since line #4 of 2023-11-14 22:13:40 UTC\n\
         \"X\" is off: check 0 of condition 0 has failed\n  \
         condition 0: plan == \"gold\": failed, plan is \"lead\"\n  \
         evaluated at 2023-11-14 22:13:45 UTC, documented semantics\n  \
         the flag was on if plan == \"gold\"; without it, for everybody\n"
    );
    let on = user.done("audit at audit.jsonl X plan=lead --at @1700000010 --json");
    let on: Value = serde_json::from_str(&on).unwrap();
    assert_eq!(
        (&on["line"], &on["flag"]["is_enabled"], &on["explanation"]["is_enabled"], &on["or"]),
        (&3.into(), &true.into(), &true.into(), &Value::Null)
    );
    // It was there before the log, or so the log says; then it was deleted; and another one has never been.
    let before = user.flipper("audit at audit.jsonl X --at @1699999999").with_code(4);
    assert!(before.out.contains("the first that tells of it\nthere was no such flag"), "{before:?}");
    assert!(user.flipper("audit at audit.jsonl X").with_code(4).out.ends_with("there was no such flag\n"));
    assert!(
        user.flipper("audit at audit.jsonl Y").with_code(4).complaint().contains("says nothing about it")
    );
}

#[test]
fn changes_that_this_program_makes_are_found_by_a_log_that_follows() {
    let user = User::new();
    run(async {
        let store = Arc::new(FileStore::open(user.file("flags.json")).unwrap());
        let client = FeatureFlagClient::new(Arc::clone(&store));
        let log = AuditLog::open(user.file("audit.jsonl")).unwrap();
        log.subscribe_to(&client);
        client.create("X").await.unwrap();
        let following = tokio::spawn({
            let (log, store) = (log.clone(), Arc::clone(&store));
            async move { log.follow(store).await }
        });
        // It has looked at the store when it has written something about it, or has nothing to write.
        while !client.local().unwrap().is_enabled("X", &flipper::ctx! {}) {
            user.done("enable X");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let shown = loop {
            let shown = user.done("audit show audit.jsonl --flag X");
            if shown.contains("switched on") {
                break shown;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(shown.ends_with("X: switched on, by somebody else\n"), "{shown}");
        client.close().await.unwrap();
        following.await.unwrap().unwrap();
    });
}

#[test]
fn what_is_no_log_is_told_in_one_line() {
    let user = User::new();
    for command in ["show none.jsonl", "verify none.jsonl", "at none.jsonl X"] {
        let ran = user.flipper(&format!("audit {command}")).with_code(1);
        assert_eq!(ran.complaint(), "flipper: none.jsonl: there is no audit log");
    }
    fs::write(user.file("other.jsonl"), "{\"a\": 1}\n\u{1b}[31m\n").unwrap();
    user.flipper("audit verify other.jsonl").with_code(3);
    let ran = user.flipper("audit show other.jsonl").with_code(1);
    assert_eq!(ran.err.lines().count(), 2, "a complaint for each line: {ran:?}");
    assert!(!ran.err.contains('\u{1b}'));
    user.flipper("audit verify other.jsonl --head nonsense").with_code(2);
    user.flipper("audit verify other.jsonl --key-file none").with_code(1);
    user.flipper("audit").with_code(2);
}

#[test]
fn a_line_that_is_half_written_is_no_damage() {
    let user = User::new();
    logged(&user, AuditLog::builder());
    let mut content = fs::read(user.file("audit.jsonl")).unwrap();
    content.extend_from_slice(b"{\"seq\":6,\"ti");
    fs::write(user.file("audit.jsonl"), content).unwrap();
    let verified = user.done("audit verify audit.jsonl");
    assert!(verified.contains("12 bytes of a line that has no end come after them"), "{verified}");
    assert_eq!(user.done("audit show audit.jsonl").lines().count(), 5);
}
