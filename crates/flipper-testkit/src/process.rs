//! A server that runs for as long as a test.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Starts a program in the background, prints its number, and kills it once nobody holds the other end of the input: also if
/// the test is killed. It ends once the program has, whose port is free then. Unless it is told to, it leaves no files behind.
const KEEPER: &str = r#"
log=$1; directory=$2; shift 2
"$@" >>"$log" 2>&1 </dev/null &
echo $!
read -r word
kill -KILL $! 2>/dev/null
wait
[ "$word" = keep ] || rm -rf "$directory"
"#;

/// A program that is killed with the process that has started it.
#[derive(Debug)]
pub(crate) struct Process {
    program: &'static str,
    pid: u32,
    keeper: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts a program that is on the PATH, or where `scripts/test` puts servers.
    ///
    /// # Panics
    ///
    /// If there is none: the message says how to get it.
    pub(crate) fn start(
        program: &'static str,
        arguments: &[String],
        directory: &Path,
        how_to_get: &str,
    ) -> Self {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        let mut folders: Vec<_> = std::env::split_paths(&folders).collect();
        folders.push(target.join("servers").join(program).join("usr/bin"));
        folders.push(target.join("peers").join(program).join("bin"));
        let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
        let path = found.unwrap_or_else(|| {
            panic!("{program} is not on PATH: {how_to_get}, or run `scripts/test`, which does it")
        });
        let log = directory.join(format!("{program}.log"));
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args([&log, directory])
            .arg(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let input = keeper.stdin.take();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("its first line");
        let pid = line.trim().parse().unwrap_or_else(|_| panic!("{program} has not started: {line:?}"));
        Self { program, pid, keeper, input, log }
    }

    /// Waits until the server answers.
    ///
    /// # Panics
    ///
    /// If it does not within 20 s: the message has what it has printed.
    pub(crate) fn wait_until(&self, is_ready: impl Fn() -> bool) {
        for _ in 0..2_000 {
            if is_ready() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let printed = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("{} does not answer; it has printed:\n{printed}", self.program);
    }

    /// Sends a signal, by its name: `STOP`, `CONT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.pid.to_string()]).stderr(Stdio::null()).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} is no longer there", self.program);
    }

    /// Kills the program, and keeps its files.
    pub(crate) fn kill(mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"keep\n");
        }
        let _ = self.keeper.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// Makes a directory for a server's files. Its process removes it.
pub(crate) fn directory() -> PathBuf {
    TempDir::with_prefix("flipper-").expect("a directory").keep()
}

/// Returns a port that nobody listens on just now, below those that systems give to whoever connects: a client that tries to reach
/// a server that is away could be given its port, and keep it from coming back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    let mut ports = std::iter::repeat_with(|| {
        let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        10_000 + u16::try_from(number % 20_000).expect("it is small")
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.by_ref().take(20_000).find(is_free).expect("a free port")
}
