//! `demo`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::failure::{Code, Failure, Result};
use crate::output::Role;
use crate::run::Run;
use crate::store::address_of;

/// A step: what to say, and the command.
const STEPS: &[(&str, &[&str])] = &[
    ("A new flag is off.", &["create", "NEW_SEARCH", "--data", "owner=search"]),
    ("For administrators it is to be on.", &["condition", "add", "NEW_SEARCH", "is_admin=true"]),
    (
        "For everybody else, from 5 % to all within a day; who is in stays in.",
        &[
            "bucket",
            "ramp",
            "NEW_SEARCH",
            "--from",
            "5%",
            "--to",
            "100%",
            "--duration",
            "1d",
            "--by",
            "user_id",
        ],
    ),
    ("What would it change to switch it on?", &["enable", "NEW_SEARCH", "--dry-run"]),
    ("Nothing else. So be it.", &["enable", "NEW_SEARCH"]),
    ("There are two more.", &["create", "OLD_SEARCH", "--enable"]),
    ("", &["create", "checkout.express"]),
    ("All flags, in words.", &["list", "--sort", "name"]),
    (
        "Is it on for user 7, who is an administrator? The exit status tells: 0 is on.",
        &["check", "NEW_SEARCH", "user_id=7", "is_admin=true"],
    ),
    ("And for the same user without that? 3 is off.", &["check", "NEW_SEARCH", "user_id=7"]),
    ("Why?", &["explain", "NEW_SEARCH", "user_id=7"]),
    ("And in twelve hours?", &["check", "NEW_SEARCH", "user_id=7", "--at", "+12h"]),
    (
        "How many of 10,000 users get it, as the ramp goes on?",
        &["simulate", "NEW_SEARCH", "--key", "user_id", "--points", "9"],
    ),
];

/// What is changed while somebody watches.
const WATCHED: &[&[&str]] = &[
    &["enable", "checkout.express", "--actor", "alice"],
    &["bucket", "hash", "checkout.express", "25%", "--by", "user_id", "--actor", "bob"],
    &["destroy", "OLD_SEARCH", "--yes"],
];

pub(crate) fn demo(run: &mut Run) -> Result<Code> {
    let failed = |error: std::io::Error| Failure::error(format!("the demo cannot go on: {error}"));
    let directory = tempfile::Builder::new().prefix("flipper-demo-").tempdir().map_err(failed)?.keep();
    let store = address_of(&directory.join("flags.json"))?;
    let demo = Demo { program: std::env::current_exe().map_err(failed)?, store };
    run.out.line(format_args!("A store in a file, in a directory of its own:"))?;
    run.out.line("")?;
    run.out.line(format_args!("  export FLIPPER_STORE={}", demo.store))?;
    for (words, arguments) in STEPS {
        demo.step(run, words, arguments)?;
    }
    demo.watch(run)?;
    demo.step(run, "Does Python's flipper-client answer anything differently?", &["verify"])?;
    run.out.line("")?;
    run.out.line("The store stays there, to play with:")?;
    run.out.line("")?;
    run.out.line(format_args!("  export FLIPPER_STORE={}", demo.store))?;
    run.out.line(format_args!("  {} list", shown_program(&demo.program)))?;
    Ok(Code::Done)
}

struct Demo {
    program: std::path::PathBuf,
    store: String,
}

impl Demo {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // What the user has set is about other stores.
        command.args(arguments).env("FLIPPER_STORE", &self.store).env_remove("FLIPPER_CONFIG");
        command.env("XDG_CONFIG_HOME", Path::new("/nonexistent")).stdin(Stdio::null());
        command
    }

    /// Says what is done, does it, and says how it has ended, if not well.
    fn step(&self, run: &mut Run, words: &str, arguments: &[&str]) -> Result<()> {
        run.out.line("")?;
        if !words.is_empty() {
            let words = run.out.paint(Role::Off, words).into_owned();
            run.out.raw_line(&format!("# {words}"))?;
        }
        announce(run, arguments)?;
        run.out.flush()?;
        let status = self.command(arguments).status().map_err(cannot_run)?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code @ 3) => run.out.line(format_args!("(exit status {code})")),
            _ => Err(Failure::error(format!(
                "the demo ends here: `flipper {}` has failed",
                arguments.join(" ")
            ))),
        }
    }

    /// Has one process watch while others change something.
    fn watch(&self, run: &mut Run) -> Result<()> {
        let count = WATCHED.len().to_string();
        let arguments = ["watch", "--count", &count];
        run.out.line("")?;
        let words =
            run.out.paint(Role::Off, "Who watches sees what others change, as it happens.").into_owned();
        run.out.raw_line(&format!("# {words}"))?;
        announce(run, &arguments)?;
        let child = self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut watching = Guard(child.map_err(cannot_run)?);
        let (Some(stdout), Some(stderr)) = (watching.0.stdout.take(), watching.0.stderr.take()) else {
            return Err(Failure::error("the demo cannot read what it has started"));
        };
        // It says when it has begun.
        let mut line = String::new();
        BufReader::new(stderr).read_line(&mut line)?;
        run.out.line(line.trim_end())?;
        let mut told = BufReader::new(stdout).lines();
        for arguments in WATCHED {
            announce(run, arguments)?;
            run.out.flush()?;
            let output = self.command(arguments).output().map_err(cannot_run)?;
            if !output.status.success() {
                return Err(Failure::error(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
            }
            let Some(line) = told.next() else { break };
            run.out.line(format_args!("    {}", line?))?;
            run.out.flush()?;
        }
        watching.0.wait().map_err(cannot_run)?;
        Ok(())
    }
}

/// A process that ends with this.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn cannot_run(error: std::io::Error) -> Failure {
    Failure::error(format!("the demo cannot run its commands: {error}"))
}

fn announce(run: &mut Run, arguments: &[&str]) -> Result<()> {
    let command = format!("$ flipper {}", arguments.join(" "));
    let command = run.out.paint(Role::Name, &command).into_owned();
    run.out.raw_line(&command)
}

fn shown_program(program: &Path) -> String {
    program.display().to_string()
}
