//! Records that nobody here has written.

use flipper_testkit::RedisServer;
use serde_json::Value;

use crate::support::{User, record, redis_set};

#[test]
fn nothing_from_a_store_reaches_the_terminal_unescaped() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    let nasty = "\u{1b}]0;owned\u{7}\u{202e}nimda\u{9b}2J";
    redis_set(server.address(), format!("features/key-{nasty}").as_bytes(), record("x", true).as_bytes());
    redis_set(server.address(), "features/bidi\u{202e}".as_bytes(), record("bidi\u{202e}", true).as_bytes());
    // In a record, control characters are escaped; whoever reads it has them.
    let escaped = nasty.replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007");
    let data = record("X", true)
        .replace("\"client_data\": {}", &format!("\"client_data\": {{\"k{escaped}\": \"{escaped}\"}}"))
        .replace(
            "\"conditions\": []",
            &format!("\"conditions\": [{{\"v{escaped}\": [{{\"variable\": \"v{escaped}\", \"value\": \"{escaped}\", \"operator\": null}}]}}]"),
        );
    redis_set(server.address(), b"features/X", data.as_bytes());
    for command in [
        "list",
        "list --json",
        "show X",
        "show X --json",
        "explain X",
        "data get X",
        "data get X --json",
        "verify",
        "verify --json",
        "list --color always",
        "diff %s copy.json",
    ] {
        let ran = user.flipper(&command.replace("%s", user.store()));
        for text in [&ran.out, &ran.err] {
            // Its own colours.
            let text = ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[0m"]
                .iter()
                .filter(|_| command.contains("always"))
                .fold(text.clone(), |text, color| text.replace(color, ""));
            let harmful =
                text.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
            assert_eq!(harmful, None, "{command}: {text:?}");
        }
        assert!(!ran.out.is_empty(), "{command}: {ran:?}");
    }
    // As it is stored, for whoever asks for that.
    assert_eq!(user.done("show X --raw").trim_end(), data);
}

#[test]
fn what_cannot_be_read_is_told_and_does_not_hide_the_rest() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    redis_set(server.address(), b"features/good", record("good", true).as_bytes());
    redis_set(server.address(), b"features/bad", b"{\"feature_name\": ");
    redis_set(server.address(), b"features/copied", record("good", false).as_bytes());
    redis_set(
        server.address(),
        b"features/new",
        record("new", true).replace("NoOpBucketer", "MoonBucketer").as_bytes(),
    );
    redis_set(server.address(), b"features/\xff\xfe", record("x", true).as_bytes());

    let listed = user.flipper("list --sort name").with_code(1);
    assert!(
        listed.out.contains("bad     cannot be read: ") || listed.out.contains("cannot be read: "),
        "{listed:?}"
    );
    assert_eq!(listed.out.lines().count(), 5, "{listed:?}");
    let lines = user.flipper("list --json").with_code(1).out;
    let bad = lines.lines().find(|line| line.contains("\"name\": \"bad\"")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(bad).unwrap()["error"]["kind"], "corrupt");

    for command in
        ["show bad", "check bad", "explain bad", "enable bad", "check new a=1", "simulate new --key a"]
    {
        let ran = user.flipper(command).with_code(1);
        assert!(!ran.complaint().is_empty());
    }
    let verified = user.flipper("verify").with_code(3);
    for told in [
        "bad: cannot be read: ",
        "copied: the record says that its name is \"good\"",
        "new: this version does not know the bucketer",
        "new: in Python, for no attributes: the flag cannot be read: ",
        "5 flags verified, 4 with something to tell",
    ] {
        assert!(verified.out.contains(told), "{told} is not in {}", verified.out);
    }
    assert_eq!(user.flipper("verify good").code, 0);

    // Exported as far as possible, and said so.
    let exported = user.flipper("export out.jsonl").with_code(1);
    assert!(
        exported.err.contains("bad: cannot be exported") && exported.out.contains("3 flags exported"),
        "{exported:?}"
    );
    // It can be deleted all the same.
    assert_eq!(user.done("destroy bad --yes"), "bad: deleted (by tester)\n");
}

#[test]
fn no_stored_name_adds_a_line_to_an_explanation() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    for name in ["\\n", "x\\n\\\"X\\\" is off: the flag is disabled", "x\\n  evaluated at 5, y"] {
        let data = record("X", true).replace(
            "\"conditions\": []",
            &format!("\"conditions\": [{{\"{name}\": [{{\"variable\": \"{name}\", \"value\": 1, \"operator\": null}}]}}]"),
        );
        redis_set(server.address(), b"features/X", data.as_bytes());
        let told = user.done("explain X");
        let starts: Vec<_> =
            told.lines().map(|line| line.split_once([':', ',']).map_or(line, |(start, _)| start)).collect();
        assert_eq!(starts.len(), 4, "{told}");
        assert_eq!(starts[..2], ["\"X\" is on", "  condition 0"], "{told}");
        assert!(
            starts[2].starts_with("  evaluated at ") && starts[3].starts_with("  the flag is on"),
            "{told}"
        );
    }
}

#[test]
fn what_nobody_can_tell_is_not_explained_as_off() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    let data = record("X", true).replace("NoOpBucketer", "MoonBucketer");
    redis_set(server.address(), b"features/X", data.as_bytes());
    let told = user.done("explain X a=1");
    assert!(told.starts_with("nobody can tell whether \"X\" is on: ") && !told.contains("is off"), "{told}");
}
