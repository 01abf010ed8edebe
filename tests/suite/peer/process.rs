//! flipper-client in a process of its own, which does as it is told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

/// A process that uses flipper-client.
pub(crate) struct Python {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Python {
    pub(crate) fn start(release: &str, store: &str, port: u16, base_key: &str) -> Self {
        let mut process = Command::new(super::python(release))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peer/flags.py"))
            .args([store, &port.to_string(), base_key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, answers }
    }

    pub(crate) fn tell(&mut self, words: &Json) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{words}").unwrap();
    }

    pub(crate) fn answer(&mut self) -> Json {
        self.try_answer().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What came of it, or the exception.
    pub(crate) fn try_answer(&mut self) -> Result<Json, Json> {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Json = serde_json::from_str(&line).expect("an answer");
        if answer.get("error").is_some() { Err(answer) } else { Ok(answer["value"].clone()) }
    }

    pub(crate) fn ask(&mut self, words: &Json) -> Json {
        self.tell(words);
        self.answer()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
