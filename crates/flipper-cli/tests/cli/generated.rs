//! What is made of the definitions: help, manual, completions.

use std::fs;
use std::process::Command;

use crate::support::User;

#[test]
fn the_help_shows_examples_and_no_password_of_the_environment() {
    let user = User::at("redis://me:hunter2@host");
    let help = user.done("--help");
    for part in ["Examples:", "flipper demo", "Exit status:", "Stores:", "[env: FLIPPER_STORE]"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
    assert!(!help.contains("hunter2"));
    for command in ["list", "create", "condition", "bucket", "check", "simulate", "import", "copy", "verify"]
    {
        let help = user.done(&format!("{command} --help"));
        assert!(help.contains("flipper ") && !help.contains("hunter2"), "{help}");
    }
}

#[test]
fn the_manual_is_one_that_man_can_read() {
    let user = User::new();
    let page = user.done("man");
    assert!(page.contains(".TH flipper 1") && page.contains("explain"), "{page}");
    user.done("man --out pages");
    let pages = fs::read_dir(user.file("pages")).unwrap().count();
    assert!(pages > 22, "{pages}");
    assert!(user.file("pages/flipper-bucket-ramp.1").is_file());
}

#[test]
fn completions_are_scripts_that_shells_take() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = user.done(&format!("completions {shell}"));
        assert!(script.contains("serve-thrift"), "{shell}: {script}");
    }
    let script = user.file("flipper.bash");
    fs::write(&script, user.done("completions bash")).unwrap();
    let complete = "source \"$1\"; COMP_WORDS=(flipper exp); COMP_CWORD=1; _flipper flipper exp flipper; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", complete, "bash"]).arg(&script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "explain export");
}

#[test]
fn the_demo_runs_without_a_server_and_leaves_its_store() {
    let user = User::at("redis://127.0.0.1:1");
    let out = user.done("demo");
    for part in [
        "$ flipper create NEW_SEARCH",
        "ramping to 100 % until",
        "(exit status 3)",
        "checkout.express: switched on",
        "OLD_SEARCH: deleted",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let store = out.lines().rev().find_map(|line| line.trim().strip_prefix("export FLIPPER_STORE=")).unwrap();
    assert_eq!(User::at(store).done("list").lines().count(), 2);
    let path = std::path::Path::new(store.strip_prefix("file://").unwrap());
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
