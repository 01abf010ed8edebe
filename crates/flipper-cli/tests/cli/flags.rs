//! Looking at flags and changing them.

use serde_json::{Value, json};

use crate::support::User;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_flag_is_created_changed_and_deleted() {
    let user = User::new();
    assert_eq!(user.done("create X --data owner=search ttl=60"), "X: created, off (by tester)\n");
    let again = user.flipper("create X").with_code(5);
    assert!(again.complaint().contains("already exists"), "{again:?}");
    assert_eq!(user.done("enable X --actor alice"), "X: switched on (by alice)\n  is on for everybody\n");
    assert_eq!(user.done("enable X"), "X: nothing to change\n  is on for everybody\n");
    assert_eq!(
        user.done("condition add X is_admin=true number__gt=9000"),
        "X: condition added: is_admin == true and number > 9000 (by tester)\n  \
         is on if is_admin == true and number > 9000; without these, for everybody\n"
    );
    assert!(user.done("bucket hash X 10% --by user_id,plan").contains("for 10 % by plan, user_id"));
    assert!(user.done("condition set X plan=gold").contains("condition added: plan == \"gold\""));
    assert!(user.done("condition clear X").contains("condition removed: plan == \"gold\""));
    assert!(user.done("bucket percentage X 0.5").contains("now for 50 % of the checks"));
    assert!(user.done("bucket none X").contains("now for everybody"));
    assert!(
        user.done("data set X ttl=3600 tags=[1,2]")
            .contains("data: ttl = 3600, before 60; data: tags = [1, 2]")
    );
    assert_eq!(user.done("data get X"), "owner = \"search\"\nttl = 3600\ntags = [1, 2]\n");
    assert_eq!(user.done("data get X owner"), "search\n");
    assert_eq!(user.flipper("data get X nothing").code, 4);
    assert!(user.done("show X").contains("  data        owner = \"search\"\n"));
    assert_eq!(user.done("disable X"), "X: switched off (by tester)\n  is off\n");
    assert_eq!(user.done("destroy X"), "X: deleted (by tester)\n");
    for command in
        ["show X", "enable X", "destroy X", "check X", "explain X", "data get X", "simulate X --key a"]
    {
        let gone = user.flipper(command).with_code(4);
        assert!(gone.complaint().contains("\"X\": not found"), "{command}: {gone:?}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let user = User::new();
    assert_eq!(user.done("create X --dry-run"), "X: created, off (dry run)\n");
    assert_eq!(user.done("list"), "");
    user.done("create X");
    assert_eq!(user.flipper("create X -n").code, 5);
    let before = user.done("show X --raw");
    for (command, told) in [
        ("enable X -n", "switched on (dry run)\n  would be on for everybody"),
        ("condition add X a=1 -n", "condition added: a == 1 (dry run)"),
        ("condition set X a=1 -n", "condition added: a == 1 (dry run)"),
        ("bucket percentage X 5% -n", "now for 5 % of the checks"),
        ("data set X a=1 -n", "data: a = 1 (dry run)"),
        ("destroy X -n", "X: deleted (dry run)"),
    ] {
        let out = user.done(command);
        assert!(out.contains(told), "{command}: {out}");
    }
    assert_eq!(user.done("show X --raw"), before);
}

#[test]
fn flags_are_listed_filtered_sorted_and_limited() {
    let user = User::new();
    for (at, name) in ["b.one", "a.two", "b.three"].iter().enumerate() {
        user.done(&format!("create {name}{}", if at == 0 { " --enable" } else { "" }));
    }
    assert_eq!(user.done("list b.* --sort name"), "b.one    on for everybody\nb.three  off\n");
    assert_eq!(user.done("ls --state on"), "b.one  on for everybody\n");
    assert_eq!(user.done("list --state off --sort name --reverse --limit 1"), "b.three  off\n");
    assert_eq!(user.done("list --limit 2").lines().count(), 2);
    let lines = user.done("list --json --sort name");
    let first = parsed(lines.lines().next().unwrap());
    assert_eq!(
        (&first["name"], &first["is_enabled"], &first["state"]),
        (&json!("a.two"), &json!(false), &json!("off"))
    );
    assert_eq!(lines.lines().count(), 3);
}

#[test]
fn a_check_answers_by_its_exit_status() {
    let user = User::new();
    user.done("create X --enable");
    user.done("condition add X is_admin=true");
    assert_eq!(user.flipper("check X is_admin=true").with_code(0).out, "on: the conditions are met\n");
    assert_eq!(user.flipper("check X is_admin=false --quiet").with_code(3).out, "");
    let json = parsed(&user.flipper("check X is_admin=1.0 --json").with_code(0).out);
    assert_eq!(json, json!({"flag": "X", "is_enabled": true, "reason": "the conditions are met"}));
    assert_eq!(user.flipper("check X is_admin").code, 2);
    // A bucketer beside the conditions is what Python does not ask.
    user.done("bucket percentage X 0%");
    assert_eq!(user.flipper("check X other=1").code, 3);
    assert_eq!(user.flipper("check X other=1 --semantics flipper-client").code, 0);
}

#[test]
fn a_ramp_can_be_asked_at_any_time() {
    let user = User::new();
    user.done("create X --enable");
    let out = user.done("bucket ramp X --from 20% --to 80% --duration 1h --start @1700000000 --by user_id");
    assert!(out.contains("for 80 % by user_id"), "{out}");
    // User 7 is in bucket 7, user 2 in one that is in at the end.
    assert_eq!(user.flipper("check X user_id=7 --at @1700000000").code, 0);
    let explained = user.done("explain X user_id=7 --at @1700001800");
    assert!(explained.contains("score 0.07 <= share 0.5 (51 of 100 buckets): in"), "{explained}");
    assert!(explained.contains("evaluated at 2023-11-14 22:43 UTC, documented semantics"), "{explained}");
    let json = parsed(&user.done("explain X user_id=7 --at @1700001800 --json"));
    assert_eq!(
        (&json["is_enabled"], &json["bucketer"]["buckets"], &json["time"]),
        (&json!(true), &json!(51), &json!(1_700_001_800))
    );
}

#[test]
fn every_change_prints_one_shape_of_json() {
    let user = User::new();
    for command in [
        "create X",
        "enable X",
        "enable X",
        "condition add X a=1",
        "bucket hash X 10% --by user_id",
        "data set X a=1",
        "disable X --dry-run",
        "destroy X",
    ] {
        let out = user.done(&format!("{command} --json"));
        let json = parsed(&out);
        let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["actor", "after", "before", "changes", "dry_run", "flag"], "{out}");
        assert_eq!(json["actor"], "tester");
    }
    let error = user.flipper("show X --json").with_code(4);
    assert_eq!(parsed(&error.err)["error"]["kind"], "not_found");
}

#[test]
fn wrong_usage_is_told_with_status_2() {
    let user = User::new();
    for (arguments, told) in [
        (&["list", "--state", "maybe"][..], "possible values: on, off"),
        (&["bucket", "percentage", "X", "10"], "`10` is no share: write `10%` or `0.1`"),
        (&["bucket", "ramp", "X", "--duration", "5"], "such as `90s`"),
        (&["condition", "add", "X", "a"], "write `key=value`"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let ran = user.run(arguments).with_code(2);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
    // What only the library knows to be wrong is an error as any other.
    user.done("create X");
    let ran = user.run(&["condition", "add", "X", "user__id=1"]).with_code(1);
    assert!(ran.complaint().contains("`id` is not an operator"), "{}", ran.err);
}

#[test]
fn a_time_before_now_needs_no_equals_sign() {
    let user = User::new();
    user.done("create X --enable");
    user.done("bucket ramp X --duration 1h --start -1d --by user_id");
    assert_eq!(user.flipper("check X --at -3h user_id=1").code, 0);
    assert_eq!(user.flipper("check X user_id=1 --at -2d").code, 3);
}

#[test]
fn an_attribute_without_a_name_is_wrong_usage() {
    let user = User::new();
    user.done("create X --enable");
    for arguments in [
        &["bucket", "hash", "X", "10%", "--by", ""][..],
        &["bucket", "hash", "X", "10%", "--by", "a,,b"],
        &["bucket", "ramp", "X", "--duration", "1h", "--by", ""],
        &["simulate", "X", "--key", ""],
    ] {
        assert!(user.run(arguments).with_code(2).err.contains("an attribute has a name"));
    }
    assert_eq!(user.done("list"), "X  on for everybody\n");
}
