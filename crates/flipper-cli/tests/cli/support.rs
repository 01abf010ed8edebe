//! Running the program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A user with a home of their own and a store.
pub(crate) struct User {
    home: TempDir,
    store: String,
    variables: Vec<(String, String)>,
}

/// How the program has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl User {
    /// Has a store in a file.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = format!("file://{}", home.path().join("flags.json").display());
        Self { home, store, variables: Vec::new() }
    }

    /// Has the store at an address.
    pub(crate) fn at(store: impl Into<String>) -> Self {
        Self { store: store.into(), ..Self::new() }
    }

    /// Has a variable of the environment.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The program, with nothing in its environment of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flipper"));
        command.args(arguments).env_clear().env("HOME", self.home()).env("TZ", "UTC").env("USER", "tester");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if !self.store.is_empty() {
            command.env("FLIPPER_STORE", &self.store);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home()).stdin(Stdio::null());
        command
    }

    /// Runs it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Runs it with arguments that have no spaces in them.
    pub(crate) fn flipper(&self, arguments: &str) -> Ran {
        self.run(&arguments.split(' ').collect::<Vec<_>>())
    }

    /// Runs it, which has to go well, and returns what it prints.
    pub(crate) fn done(&self, arguments: &str) -> String {
        self.flipper(arguments).with_code(0).out
    }

    /// Runs it while nobody reads what it prints, and returns its exit status.
    pub(crate) fn unread(&self, arguments: &str) -> Option<i32> {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(&arguments.split(' ').collect::<Vec<_>>());
        command.stdout(writer).output().unwrap().status.code()
    }

    /// Runs it with an input.
    pub(crate) fn fed(&self, arguments: &str, input: &str) -> Ran {
        let mut command = self.command(&arguments.split(' ').collect::<Vec<_>>());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::of(&child.wait_with_output().unwrap())
    }

    /// Runs it in the background.
    pub(crate) fn started(&self, arguments: &str) -> Started {
        let mut command = self.command(&arguments.split(' ').collect::<Vec<_>>());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Started { child, out: Some(BufReader::new(out)), err: BufReader::new(err) }
    }
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// What it complains of, which is one line.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.trim_end()
    }
}

/// The program in the background. It ends with this.
pub(crate) struct Started {
    pub(crate) child: Child,
    out: Option<BufReader<ChildStdout>>,
    err: BufReader<ChildStderr>,
}

impl Started {
    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it has ended after {line:?}, and says {:?}", self.note());
        line.trim_end().to_owned()
    }

    /// The next line that it tells beside its output.
    pub(crate) fn note(&mut self) -> String {
        let mut line = String::new();
        self.err.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// All that it prints until it ends.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.out.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        rest
    }

    /// Reads its output no longer.
    pub(crate) fn close(&mut self) {
        self.out = None;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it ends, and returns its exit status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes something into a Redis, past all that looks after flags.
pub(crate) fn redis_set(address: SocketAddr, key: &[u8], value: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut command = b"*3\r\n$3\r\nSET\r\n".to_vec();
    for part in [key, value] {
        command.extend(format!("${}\r\n", part.len()).into_bytes());
        command.extend_from_slice(part);
        command.extend(b"\r\n");
    }
    stream.write_all(&command).unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}

/// A record as flipper-client writes it.
pub(crate) fn record(name: &str, is_enabled: bool) -> String {
    format!(
        r#"{{"feature_name": "{name}", "is_enabled": {is_enabled}, "meta": {{"client_data": {{}}, "created_date": 1700000000, "conditions": [], "bucketer": {{"type": "NoOpBucketer"}}}}}}"#
    )
}
