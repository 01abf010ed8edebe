//! Many flags: export, import, copy, diff.

use std::fmt::Write as _;
use std::fs;

use flipper_testkit::RedisServer;
use serde_json::Value;

use crate::support::{User, record, redis_set};

/// So many records, one per line.
fn records(count: usize) -> String {
    let mut lines = String::new();
    for number in 0..count {
        writeln!(lines, "{}", record(&format!("flag-{number}"), number % 2 == 0)).unwrap();
    }
    lines
}

#[test]
fn what_was_exported_comes_back_byte_for_byte() {
    let user = User::new();
    // As nobody but a careless writer would write it, and as file stores take it.
    let odd = "{\"feature_name\":\"other\",\n \"is_enabled\":1E2, \"x\": NaN, \"meta\":{\"created_date\":1}}";
    let server = RedisServer::start(&[]);
    let redis = User::at(server.url());
    redis_set(server.address(), b"features/odd", odd.as_bytes());
    redis.done("create even --enable --data a=1");
    let exported = redis.file("flags.jsonl");
    assert_eq!(redis.done("export flags.jsonl"), "2 flags exported to flags.jsonl\n");
    let plain = redis.done("export --filter even");
    let line: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!(
        (line["name"].as_str(), line["record"]["feature_name"].as_str()),
        (Some("even"), Some("even"))
    );

    let path = exported.to_str().unwrap();
    let out = user.done(&format!("import {path} --dry-run"));
    assert!(
        out.contains("odd: would be created")
            && out.contains("2 created, 0 replaced, 0 there already, 0 failed (dry run)"),
        "{out}"
    );
    assert_eq!(user.done("list"), "");
    assert_eq!(user.done(&format!("import {path}")), "2 created, 0 replaced, 0 there already, 0 failed\n");
    assert_eq!(user.done("show odd --raw").trim_end(), odd);
    assert_eq!(user.done(&format!("diff {} {}", server.url(), user.store())), "");
    assert_eq!(user.done(&format!("import {path}")), "0 created, 0 replaced, 2 there already, 0 failed\n");
}

#[test]
fn nothing_is_imported_from_a_file_with_a_mistake() {
    let user = User::new();
    let text = format!("{}{{\"feature_name\": \"broken\"}}\n{}\n", records(2), record("flag-1", true));
    fs::write(user.file("wrong"), text).unwrap();
    let ran = user.flipper("import wrong").with_code(1);
    assert_eq!(ran.err.lines().count(), 3, "{ran:?}");
    assert!(ran.err.contains("wrong: line 3: ") && ran.err.contains("\"flag-1\" is there twice"), "{ran:?}");
    assert!(ran.err.ends_with("nothing was imported\n"), "{ran:?}");
    assert_eq!(user.done("list"), "");
    assert_eq!(user.fed("import -", "[1]").with_code(1).err.lines().count(), 2);
}

#[test]
fn an_array_is_imported_from_the_standard_input() {
    let user = User::new();
    let array = format!("[{}, {}]", record("a", true), record("b", false));
    assert!(user.fed("import -", &array).with_code(0).out.starts_with("2 created"));
    assert_eq!(user.done("list --sort name"), "a  on for everybody\nb  off\n");
}

#[test]
fn each_flag_that_cannot_be_imported_is_told_and_the_others_are() {
    let user = User::new();
    user.done("create flag-1 --enable");
    fs::write(user.file("flags"), records(3)).unwrap();
    let ran = user.flipper("import flags").with_code(1);
    assert_eq!(ran.out, "2 created, 0 replaced, 0 there already, 1 failed\n");
    assert!(
        ran.complaint().starts_with("flag-1: ") && ran.err.contains("`--overwrite` replaces it"),
        "{ran:?}"
    );
    let lines = user.flipper("import flags --json").with_code(1).out;
    let outcomes: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["same", "failed", "same"]);
    let dry = user.done("import flags --overwrite -n");
    assert!(dry.contains("flag-1: would be replaced: switched off"), "{dry}");
    assert_eq!(user.done("import flags --overwrite"), "0 created, 1 replaced, 2 there already, 0 failed\n");
}

#[test]
fn an_import_that_was_killed_is_taken_up_by_the_next() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    fs::write(user.file("flags"), records(4_000)).unwrap();
    let mut importing = user.started("import flags --json");
    for _ in 0..200 {
        importing.line();
    }
    importing.child.kill().unwrap();
    importing.ended();
    let out = user.done("import flags");
    let counts: Vec<u64> =
        out.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [created, replaced, same, failed] = counts[..] else { panic!("{out}") };
    assert!(same >= 200 && created > 0 && created + same == 4_000, "{out}");
    assert_eq!((replaced, failed), (0, 0));
}

#[test]
fn an_import_into_a_store_that_goes_away_stops_and_says_so() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]);
    let user = User::at(server.url());
    fs::write(user.file("flags"), records(20_000)).unwrap();
    let mut importing = user.started("import flags --json");
    importing.line();
    server.kill();
    let told = importing.rest();
    assert_eq!(importing.ended(), Some(1));
    let written = told.lines().filter(|line| line.contains("\"created\"")).count();
    assert!(told.lines().count() < 19_999 && written < 19_999, "{written}");
    let failure: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(failure["error"]["kind"], "unavailable");
    assert!(importing.note().contains("stopped; the same command goes on from here"));
    server.restart();
    assert!(user.done("import flags").ends_with(" 0 failed\n"));
}

#[test]
fn flags_are_copied_and_compared() {
    let server = RedisServer::start(&[]);
    let redis = User::at(server.url());
    fs::write(redis.file("flags"), records(30)).unwrap();
    redis.done("import flags");
    let dry = redis.done(&format!("copy {} copy.json --filter flag-1? --dry-run", server.url()));
    assert!(dry.ends_with("10 created, 0 replaced, 0 there already, 0 failed (dry run)\n"), "{dry}");
    let copy = format!("copy {} copy.json", server.url());
    assert_eq!(redis.done(&copy), "30 created, 0 replaced, 0 there already, 0 failed\n");
    let diff = format!("diff {} copy.json", server.url());
    assert_eq!(redis.done(&diff), "");

    redis.done("disable flag-2");
    redis.done("destroy flag-3");
    redis.done("create other");
    let different = redis.flipper(&diff).with_code(3);
    assert_eq!(
        different.out,
        "flag-2: switched on\nflag-3: only in the second store, off\nother: only in the first store\n"
    );
    let lines = redis.flipper(&format!("{diff} --json")).with_code(3).out;
    assert!(
        lines.contains(r#"{"flag": "other", "in": "a", "changes": ["only in the first store"]}"#),
        "{lines}"
    );
    let ran = redis.flipper(&copy).with_code(1);
    assert!(ran.complaint().starts_with("flag-2: "), "{ran:?}");
    assert_eq!(
        redis.done(&format!("{copy} --overwrite")),
        "0 created, 1 replaced, 29 there already, 0 failed\n"
    );
}

#[test]
fn an_export_that_fails_leaves_the_file_as_it_was() {
    let user = User::at("redis://127.0.0.1:1");
    fs::write(user.file("flags"), "before").unwrap();
    user.flipper("export flags").with_code(1);
    assert_eq!(fs::read_to_string(user.file("flags")).unwrap(), "before");
    assert_eq!(fs::read_dir(user.home()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn an_export_never_takes_the_place_of_its_store() {
    let user = User::new();
    user.done("create X");
    let before = fs::read(user.file("flags.json")).unwrap();
    for path in ["flags.json", "./flags.json", user.file("flags.json").to_str().unwrap()] {
        let ran = user.flipper(&format!("export {path}")).with_code(1);
        assert!(ran.complaint().contains("is the store itself"), "{ran:?}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("flags.json", user.file("link")).unwrap();
        user.flipper("export link").with_code(1);
        user.flipper("export flags.json --store ./link").with_code(1);
    }
    assert_eq!(fs::read(user.file("flags.json")).unwrap(), before);
    // Without a store told, it is that of the user.
    let user = User::at("");
    user.done("create X");
    user.flipper("export .local/share/flipper/flags.json").with_code(1);
    assert_eq!(user.done("list"), "X  off\n");
}

#[cfg(unix)]
#[test]
fn an_export_writes_behind_links_and_through_pipes() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

    let user = User::new();
    user.done("create X");
    fs::write(user.file("backup"), "").unwrap();
    fs::set_permissions(user.file("backup"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("backup", user.file("link")).unwrap();
    user.done("export link");
    let exported = fs::read_to_string(user.file("backup")).unwrap();
    assert_eq!(exported, user.done("export"));
    assert!(fs::symlink_metadata(user.file("link")).unwrap().is_symlink());
    assert_eq!(fs::metadata(user.file("backup")).unwrap().permissions().mode() & 0o777, 0o640);

    let pipe = user.file("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reading = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    assert_eq!(user.done("export pipe"), "1 flags exported to pipe\n");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(reading.join().unwrap(), exported);
}

#[cfg(unix)]
#[test]
fn an_export_that_is_interrupted_leaves_nothing_behind() {
    let server = RedisServer::start(&[]);
    let user = User::at(server.url());
    // It waits for an answer until it is told to end.
    server.pause();
    let mut exporting = user.started("export flags");
    let start = std::time::Instant::now();
    while fs::read_dir(user.home()).unwrap().count() == 0 {
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "it does not begin");
        std::thread::yield_now();
    }
    exporting.signal("-INT");
    assert_eq!(exporting.ended(), Some(1));
    server.resume();
    assert_eq!(fs::read_dir(user.home()).unwrap().count(), 0);
}

#[test]
fn nothing_is_taken_from_a_file_that_is_not_there() {
    let user = User::new();
    user.done("create X");
    user.done("export backup");
    let before = fs::read(user.file("backup")).unwrap();
    for command in ["export backup --store flagz.json", "copy flagz.json flags.json --dry-run"] {
        let ran = user.flipper(command).with_code(1);
        assert!(ran.complaint().contains("flagz.json: No such file"), "{ran:?}");
    }
    assert_eq!(fs::read(user.file("backup")).unwrap(), before);
    // Where flags may be made, there need not be any yet.
    assert_eq!(user.done("list --store flagz.json"), "");
    assert!(user.done("copy flags.json flagz.json").starts_with("1 created"));
}
