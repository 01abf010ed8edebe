//! What is different at a terminal.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use flipper_testkit::RedisServer;
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::support::{User, record};

/// Runs the program at a terminal of its own.
fn at_terminal(user: &User, arguments: &str) -> PtySession {
    let mut command = user.command(&arguments.split(' ').collect::<Vec<_>>());
    command.env("TERM", "xterm-256color").stdin(std::process::Stdio::inherit());
    spawn_command(command, Some(Duration::from_secs(20).as_millis() as u64)).unwrap()
}

fn status(session: &PtySession) -> i32 {
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let user = User::new();
    user.done("create X --enable");
    let mut session = at_terminal(&user, "list");
    let out = session.exp_eof().unwrap();
    assert!(out.contains("\u{1b}[1mX\u{1b}[0m  \u{1b}[32mon for everybody\u{1b}[0m"), "{out:?}");
    for arguments in ["list --color never", "list --json"] {
        let out = at_terminal(&user, arguments).exp_eof().unwrap();
        assert!(!out.contains('\u{1b}'), "{out:?}");
    }
    let modest = User::at(user.store()).with("NO_COLOR", "1");
    let out = at_terminal(&modest, "list").exp_eof().unwrap();
    assert!(!out.contains('\u{1b}') && out.contains("X  on"), "{out:?}");
    assert!(user.done("list --color always").contains("\u{1b}[1m"));
}

#[test]
fn what_does_harm_is_asked_for() {
    let user = User::new();
    user.done("create X --enable");
    user.done("condition add X a=1");
    for (command, question) in [
        ("destroy X", "Delete \"X\" (on if a == 1; without it, for everybody)? [y/N]"),
        ("condition clear X", "Remove the conditions of \"X\" (condition removed: a == 1)? [y/N]"),
        ("condition set X b=1", "Replace the conditions of \"X\""),
    ] {
        for answer in ["n", ""] {
            let mut session = at_terminal(&user, command);
            session.exp_string(question).unwrap();
            session.send_line(answer).unwrap();
            session.exp_string("nothing was changed").unwrap();
            session.exp_eof().unwrap();
            assert_eq!(status(&session), 1);
        }
    }
    assert!(user.done("list").contains("a == 1"));
    let mut session = at_terminal(&user, "destroy X");
    session.exp_string("[y/N]").unwrap();
    session.send_line("y").unwrap();
    session.exp_string("deleted").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(status(&session), 0);
    assert_eq!(user.done("list"), "");
    user.done("create X");
    let mut session = at_terminal(&user, "destroy X --yes");
    session.exp_string("deleted").unwrap();
}

#[test]
fn copies_and_imports_are_asked_for_without_passwords() {
    let server = RedisServer::start(&["--user", "flags", "on", ">hunter2", "~*", "&*", "+@all"]);
    let user = User::new();
    user.done("create X");
    let target = format!("redis://flags:hunter2@{}", server.address());
    let mut session = at_terminal(&user, &format!("copy {} {target}", user.store()));
    let before = session.exp_string("? [y/N]").unwrap();
    assert!(before.contains(&format!("@{}", server.address())) && !before.contains("hunter2"), "{before:?}");
    session.send_line("yes").unwrap();
    session.exp_string("1 created").unwrap();
    fs::write(user.file("flags"), record("Y", true)).unwrap();
    let mut session = at_terminal(&user, "import flags --overwrite");
    session.exp_string("Import 1 flags, and replace those that differ? [y/N]").unwrap();
    // No answer. What Ctrl-C does is up to whoever has started the tests: in the background of a script it is ignored.
    session.send_control('d').unwrap();
    session.exp_string("nothing was changed").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(user.done("list"), "X  off\n");
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let server = RedisServer::start(&["--user", "flags", "on", ">hunter2", "~*", "&*", "+@all"]);
    let user = User::at(format!("redis://flags@{}", server.address()));
    let mut session = at_terminal(&user, "--ask-password create X");
    session.exp_string("Password of redis://").unwrap();
    session.send_line("hunter2").unwrap();
    let rest = session.exp_eof().unwrap();
    assert!(rest.contains("created, off") && !rest.contains("hunter2"), "{rest:?}");
    assert_eq!(status(&session), 0);
}

#[test]
fn long_work_shows_how_far_it_is() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    let mut text = String::new();
    for number in 0..5_000 {
        writeln!(text, "{}", record(&format!("flag-{number}"), true)).unwrap();
    }
    fs::write(user.file("flags"), text).unwrap();
    let mut session = at_terminal(&user, "import flags --yes");
    session.exp_regex("imported [0-9,]+ of 5,000").unwrap();
    session.exp_string("5000 created").unwrap();
    // Nothing of it where nobody looks.
    assert_eq!(user.flipper("import flags").with_code(0).err, "");
}

#[test]
fn a_stored_record_is_escaped_at_a_terminal_though_asked_for_as_it_is() {
    let user = User::new();
    let text =
        record("X", true).replace("\"client_data\": {}", "\"client_data\": {\"a\": \"b\u{202e}c\u{9b}d\"}");
    user.fed("import -", &text).with_code(0);
    let out = at_terminal(&user, "show X --raw").exp_eof().unwrap();
    assert!(out.contains("b\\u{202e}c\\u{9b}d"), "{out:?}");
}

#[test]
fn a_watch_at_a_terminal_ends_with_control_c() {
    let user = User::new();
    let mut session = at_terminal(&user, "watch");
    session.exp_string("watching 0 flags").unwrap();
    user.done("create X");
    session.exp_string("created, off").unwrap();
    session.send_control('c').unwrap();
    session.exp_eof().unwrap();
    assert_eq!(status(&session), 0);
}

#[test]
fn what_does_harm_is_asked_for_though_the_complaints_go_elsewhere() {
    let user = User::new();
    user.done("create X");
    let script = format!("{} destroy X 2> complaints", env!("CARGO_BIN_EXE_flipper"));
    let in_shell = |script: &str| {
        let mut command = user.command(&[]);
        let environment: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
        command = std::process::Command::new("sh");
        command.args(["-c", script]).env_clear().envs(environment).current_dir(user.home());
        spawn_command(command, Some(Duration::from_secs(20).as_millis() as u64)).unwrap()
    };
    for answer in ["n", "\u{fffd}"] {
        let mut session = in_shell(&script);
        session.exp_string("Delete \"X\" (off)? [y/N]").unwrap();
        session.send_line(answer).unwrap();
        session.exp_eof().unwrap();
        assert_eq!(status(&session), 1);
        let complaints = fs::read_to_string(user.file("complaints")).unwrap();
        assert_eq!(complaints, "flipper: nothing was changed\n");
    }
    // Nobody would see the question.
    let mut session = in_shell(&format!("{script} > out"));
    session.exp_eof().unwrap();
    assert_eq!(status(&session), 1);
    assert!(fs::read_to_string(user.file("complaints")).unwrap().contains("`--yes`"));
    assert_eq!(user.done("list"), "X  off\n");
    // Where nobody is there to answer, as before.
    assert_eq!(user.done("destroy X"), "X: deleted (by tester)\n");
}

#[test]
fn an_answer_is_about_what_was_shown() {
    let user = User::new();
    user.done("create X");
    user.done("condition add X a=1");
    for (command, change) in [
        ("destroy X", "enable X"),
        ("condition clear X", "condition add X b=1"),
        ("condition set X c=1", "disable X"),
    ] {
        let mut session = at_terminal(&user, command);
        session.exp_string("[y/N]").unwrap();
        user.done(change);
        let before = user.done("show X");
        session.send_line("y").unwrap();
        session.exp_string("changed while the question waited").unwrap();
        session.exp_eof().unwrap();
        assert_eq!(status(&session), 5);
        assert_eq!(user.done("show X"), before);
    }
    let mut session = at_terminal(&user, "condition clear X");
    session.exp_string("[y/N]").unwrap();
    session.send_line("y").unwrap();
    session.exp_string("condition removed: a == 1").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(status(&session), 0);
}
