//! Reading the command line, and telling what is wrong with it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, Error, FromArgMatches as _};

use crate::cli::Cli;
use crate::escape::shown;

/// The exit status of a wrong usage.
const WRONG: u8 = 2;

/// Reads the command line; without one that can be used, has told why, or the help that was asked for.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    read(&arguments).map_err(|error| {
        if !error.use_stderr() {
            // Nothing is lost with a help that nobody reads.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        let text = harmless(error.render().to_string(), &arguments);
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(WRONG)
    })
}

fn read(arguments: &[OsString]) -> Result<Cli, Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    // As of a variable that a script has forgotten to set: it would be another store than was meant.
    let is_told = matches.value_source("store") == Some(ValueSource::CommandLine);
    if is_told && cli.global.store.as_deref() == Some("") {
        return Err(
            command.error(ErrorKind::InvalidValue, "`--store` is empty: name a store, or leave it out")
        );
    }
    Ok(cli)
}

/// Takes the secrets and the control characters out of arguments that a message repeats.
fn harmless(mut text: String, arguments: &[OsString]) -> String {
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        for given in [&*argument, value] {
            let told =
                if given.contains("://") { flipper::redacted(given) } else { shown(given).into_owned() };
            if told != given && !given.is_empty() {
                text = text.replace(given, &told);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = ["flipper"].iter().chain(arguments).map(OsString::from).collect();
        harmless(read(&arguments).unwrap_err().render().to_string(), &arguments)
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for arguments in [
            &["redis://me:hunter2@host", "list"][..],
            &["diff", "a", "b", "redis://me:hunter2@host"],
            &["list", "--json=redis://me:hunter2@host"],
            &["list", "--limit", "redis://me:hunter2@host"],
            &["list", "--limit=redis://me:hunter2@host"],
            &["--stoer=redis://me:hunter2@host", "list"],
            &["condition", "add", "X", "redis://me:hunter2@host"],
            &["list", "x", "mysql://me:hunter2@host"],
        ] {
            let told = wrong(arguments);
            assert!(!told.contains("hunter2") && told.starts_with("error: "), "{told}");
        }
        assert!(wrong(&["redis://me:hunter2@host", "list"]).contains("@host'"));
    }

    #[test]
    fn what_is_wrong_is_told_without_control_characters() {
        for arguments in
            [&["check", "X", "a\u{1b}[31m"][..], &["\u{1b}]0;x\u{7}"], &["list", "--limit=\u{202e}5"]]
        {
            let told = wrong(arguments);
            assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']) && told.contains("\\u{"), "{told:?}");
        }
    }

    #[test]
    fn an_empty_store_is_none() {
        assert!(wrong(&["--store", "", "list"]).contains("`--store` is empty"));
        assert!(wrong(&["list", "--store="]).contains("`--store` is empty"));
    }
}
