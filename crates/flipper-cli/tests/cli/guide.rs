//! The commands that the guide and the README show, run as they are written there.

use std::path::{Path, PathBuf};
use std::process::Command;

use flipper_testkit::RedisServer;

use super::support::User;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of a page that are for a shell.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(project().join(page)).unwrap();
    let blocks: Vec<_> =
        text.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect();
    assert!(!blocks.is_empty(), "{page} shows no commands");
    blocks
}

/// Runs lines in a shell in which `flipper` is the program; the first that fails ends it.
fn run(user: &User, script: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_flipper")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-x", "-c", script]).env_clear().current_dir(user.home());
    shell.env("PATH", format!("{}:{path}", program.display())).env("HOME", user.home()).env("USER", "tester");
    if !user.store().is_empty() {
        shell.env("FLIPPER_STORE", user.store());
    }
    let output = shell.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let user = User::new();
    let mut shown = Vec::new();
    for block in blocks("crates/flipper/src/guide/command_line.md") {
        shown.push(run(&user, &block));
    }
    let [changed, asked, moved] = &shown[..] else { panic!("{shown:#?}") };
    assert!(changed.contains("NEW_SEARCH"), "{changed}");
    assert!(asked.lines().any(|line| line == "on"), "{asked}");
    assert!(moved.contains("created"), "{moved}");
    assert!(user.file("ramp.svg").is_file() && user.file("backup.json").is_file());
    assert_eq!(user.done("list"), "");
}

#[test]
fn the_commands_of_the_readme_work_on_a_redis() {
    let server = RedisServer::start(&[]);
    let user = User::at("");
    let block = blocks("README.md").remove(0);
    // The program is built already, and there is nothing to watch.
    let lines = block.lines().filter(|line| {
        !line.starts_with("cargo install")
            && !line.starts_with("flipper watch")
            && !line.starts_with("flipper demo")
    });
    let script = lines.collect::<Vec<_>>().join("\n").replace("redis://127.0.0.1", &server.url());
    let shown = run(&user, &script);
    assert!(shown.contains("NEW_SEARCH") && shown.contains("ramp"), "{shown}");
}
