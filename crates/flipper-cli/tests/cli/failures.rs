//! What goes wrong is one clear line and the right exit status, and nothing secret is in it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper_testkit::RedisServer;
use serde_json::Value;

use crate::support::{User, record};

#[test]
fn a_wrong_address_is_told() {
    for (store, told) in [
        ("redsi://me:hunter2@host", "`redsi:` is no scheme that flipper knows"),
        ("redis://me:hunter2@host/x", "invalid input"),
        ("postgres://me:hunter2@host:port/x", "invalid input"),
        ("file:hunter2", "needs the absolute path"),
        ("hunter2", "is no store: write an address such as `redis://host`"),
    ] {
        let ran = User::at(store).flipper("list").with_code(1);
        assert!(ran.complaint().contains(told), "{store}: {ran:?}");
        assert!(store == "hunter2" || !ran.err.contains("hunter2"), "{ran:?}");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_dead_server_is_told_and_nobody_is_told_that_a_flag_is_off() {
    for store in [
        "redis://me:hunter2@127.0.0.1:1",
        "consul://:hunter2@127.0.0.1:1",
        "postgres://me:hunter2@127.0.0.1:1/x",
        "thrift://127.0.0.1:1",
    ] {
        for command in ["list", "check X", "create X", "enable X", "verify"] {
            let start = Instant::now();
            let ran = User::at(store).flipper(command).with_code(1);
            assert!(ran.complaint().starts_with("flipper: ") && !ran.err.contains("hunter2"), "{ran:?}");
            assert_eq!(ran.out, "", "{ran:?}");
            assert!(start.elapsed() < Duration::from_secs(15));
        }
    }
    let ran = User::at("redis://127.0.0.1:1").flipper("check X --json").with_code(1);
    assert_eq!(serde_json::from_str::<Value>(&ran.err).unwrap()["error"]["kind"], "unavailable");
}

#[test]
fn a_server_that_does_not_answer_is_told_in_time() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    user.done("create X");
    server.pause();
    let start = Instant::now();
    let ran = user.flipper("check X").with_code(1);
    assert!(ran.complaint().contains("unavailable"), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(15));
    server.resume();
}

#[test]
fn a_password_comes_from_the_environment_and_is_never_shown() {
    let server = RedisServer::start(&["--user", "flags", "on", ">hunter2/@", "~*", "&*", "+@all"]);
    let store = format!("redis://flags@{}", server.address());
    let user = User::at(&store).with("FLIPPER_PASSWORD", "hunter2/@");
    user.done("create X");
    assert_eq!(user.done("list"), "X  off\n");
    let wrong = User::at(&store).with("FLIPPER_PASSWORD", "swordfish").flipper("list").with_code(1);
    assert!(wrong.complaint().contains("permission denied") && !wrong.err.contains("swordfish"), "{wrong:?}");
    let none = User::at(&store).with("FLIPPER_PASSWORD", "").flipper("list").with_code(1);
    assert!(!none.complaint().is_empty());
    let none = User::at(&store).flipper("list --ask-password").with_code(1);
    assert!(none.complaint().contains("needs a terminal"), "{none:?}");
}

#[test]
fn a_password_without_a_user_comes_from_the_environment_too() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let store = format!("redis://:@{}", server.address());
    User::at(&store).with("FLIPPER_PASSWORD", "hunter2").done("create X");
}

#[test]
fn nobody_complains_when_the_output_is_not_read_to_its_end() {
    let user = User::new();
    for number in 0..20 {
        user.done(&format!("create flag-{number}"));
    }
    for command in ["list", "list --json", "export", "verify", "man", "--help", "completions bash"] {
        let mut child = user
            .command(&command.split(' ').collect::<Vec<_>>())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody will ever read.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command}");
        assert_eq!(output.status.code(), Some(0), "{command}");
    }
    let script = format!("{} list | head -n 1", env!("CARGO_BIN_EXE_flipper"));
    let output =
        Command::new("sh").args(["-c", &script]).env("FLIPPER_STORE", user.store()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}

#[test]
fn an_illegal_name_is_told() {
    let user = User::new();
    for command in ["create", "show", "enable", "check", "destroy"] {
        let ran = user.run(&[command, "a\nb"]).with_code(1);
        assert!(ran.complaint().contains("control characters"), "{ran:?}");
    }
}

#[test]
fn the_answer_is_the_same_though_nobody_reads_it() {
    let user = User::new();
    user.done("create X");
    user.done("create odd --enable");
    user.done("condition add odd is_admin=true");
    user.done("bucket hash odd 0% --by user_id");
    for (command, code) in
        [("check X", 3), ("check odd is_admin=true", 0), ("verify", 3), ("diff flags.json other.json", 3)]
    {
        assert_eq!(user.unread(command), Some(code), "{command}");
    }
}

#[test]
fn what_is_written_is_written_to_its_end_though_nobody_reads_what_is_told() {
    let user = User::new();
    let lines: Vec<_> = (0..1_000).map(|number| record(&format!("flag-{number}"), true)).collect();
    std::fs::write(user.file("flags"), lines.join("\n")).unwrap();
    assert_eq!(user.unread("import flags --json"), Some(0));
    assert_eq!(user.done("list").lines().count(), 1_000);
    // More than fits into what waits to be printed.
    assert_eq!(user.unread("diff flags.json other.json --json"), Some(3));
    assert_eq!(user.unread("copy flags.json copy.json --json"), Some(0));
    assert_eq!(user.done("diff flags.json copy.json"), "");
    user.done("disable flag-1");
    assert_eq!(user.unread("copy flags.json copy.json --json"), Some(1));
}
