//! What is printed, and how.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use flipper::json::Value;

use crate::cli::Colors;
use crate::escape::{shown, shown_lines};
use crate::failure::{Failure, Result};
use crate::shape::object;

/// What a piece of text is about, for its colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// A name or a heading.
    Name,
    /// On.
    On,
    /// Off, or less important.
    Off,
    /// Wrong.
    Bad,
}

impl Role {
    fn style(self) -> Style {
        match self {
            Self::Name => Style::new().bold(),
            Self::On => AnsiColor::Green.on_default(),
            Self::Off => Style::new().dimmed(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// Writes to the standard output, in words or in JSON.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write + Send>>,
    is_json: bool,
    has_colors: bool,
    is_terminal: bool,
}

impl Output {
    /// The standard output.
    pub(crate) fn standard(is_json: bool, colors: Colors) -> Self {
        let stdout = io::stdout();
        let has_colors = match colors {
            Colors::Auto => AutoStream::choice(&stdout) != ColorChoice::Never,
            Colors::Always => true,
            Colors::Never => false,
        };
        let is_terminal = stdout.is_terminal();
        Self { out: BufWriter::with_capacity(64 << 10, Box::new(stdout)), is_json, has_colors, is_terminal }
    }

    /// Whether to print JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether somebody looks at it as it is printed.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints a line of text that may come from a store: escaped.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<()> {
        self.raw_line(&shown(&text.to_string()))
    }

    /// Prints lines of text that may come from a store: escaped.
    pub(crate) fn lines(&mut self, text: &str) -> Result<()> {
        self.raw_line(&shown_lines(text.trim_end()))
    }

    /// Prints a line as it is: escaped already, with colours.
    pub(crate) fn raw_line(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.write_all(b"\n")?;
        // Whoever looks wants to see it, and progress is shown between the lines.
        if self.is_terminal { self.flush() } else { Ok(()) }
    }

    /// Prints JSON on a line of its own.
    pub(crate) fn json(&mut self, value: &Value) -> Result<()> {
        self.raw_line(&value.to_json())
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Has everything printed.
    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    /// Escapes a text that may come from a store, and colours it.
    pub(crate) fn paint<'t>(&self, role: Role, text: &'t str) -> Cow<'t, str> {
        let text = shown(text);
        if !self.has_colors {
            return text;
        }
        let style = role.style();
        Cow::Owned(format!("{style}{text}{style:#}"))
    }
}

/// Tells people something, beside the output. Nothing is lost with it, so it does not matter whether that succeeds.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", shown(&text.to_string()));
}

/// Tells why a command has failed, on one line.
pub(crate) fn complain(failure: &Failure, is_json: bool) {
    let message = failure.to_string();
    if is_json {
        let error = object([("kind", failure.kind().into()), ("message", message.into())]);
        let _ = writeln!(io::stderr(), "{}", object([("error", error)]).to_json());
    } else {
        note(format_args!("flipper: {message}"));
    }
}

/// An error of the library as JSON.
pub(crate) fn error_json(error: &flipper::Error) -> Value {
    object([("kind", error.kind().as_str().into()), ("message", error.to_string().into())])
}

/// Asks on a terminal whether to go on, and returns whether it has asked. Where there is none, whoever has called knows what they do.
///
/// # Errors
///
/// If the answer is no, or if the terminal answers but shows nothing of what is printed.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    // Somebody is there to answer, wherever the complaints go.
    let mut place: Box<dyn Write> = if io::stderr().is_terminal() {
        Box::new(io::stderr())
    } else if io::stdout().is_terminal() {
        Box::new(io::stdout())
    } else {
        let message = "nothing was changed: the question would not be seen, as all output goes elsewhere; \
                       `--yes` does without";
        return Err(Failure::error(message));
    };
    let _ = write!(place, "{} [y/N] ", shown(question)).and_then(|()| place.flush());
    let mut answer = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut answer);
    match answer.trim_ascii().to_ascii_lowercase().as_slice() {
        b"y" | b"yes" if read.is_ok() => Ok(true),
        _ => Err(Failure::error("nothing was changed")),
    }
}
