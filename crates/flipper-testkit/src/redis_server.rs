//! A real Redis.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Process, directory, free_port};

/// Runs a `redis-server` on a free port and a socket of this machine, in a directory of its own. It is killed when this is
/// dropped or the process ends, however it does.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::RedisServer;
///
/// let server = RedisServer::start(&["--requirepass", "secret"]);
/// println!("redis://:secret@{}", server.address());
/// ```
#[derive(Debug)]
pub struct RedisServer {
    directory: PathBuf,
    arguments: Vec<String>,
    port: u16,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, with further arguments: `["--appendonly", "yes"]`.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server` on the PATH, or it does not start.
    pub fn start(arguments: &[&str]) -> Self {
        let directory = directory();
        let port = free_port();
        let mut all: Vec<String> =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--protected-mode", "no"]
                .map(str::to_owned)
                .into();
        all.extend(["--dir".to_owned(), directory.display().to_string()]);
        all.extend(["--unixsocket".to_owned(), directory.join("redis.sock").display().to_string()]);
        if arguments.contains(&"--cluster-enabled") {
            // The port of the bus that is guessed may be somebody else's.
            all.extend(["--cluster-port".to_owned(), free_port().to_string()]);
        }
        all.extend(arguments.iter().map(ToString::to_string));
        let mut server = Self { directory, arguments: all, port, process: None };
        server.restart();
        server
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns its address without user, password and database.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    /// Returns the directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Kills it, as a machine that loses its power does. Its files stay.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, after it was killed if it runs, and waits until it has loaded its data.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let how_to_get = "install it (Debian: apt-get install redis-server)";
        let process = Process::start("redis-server", &self.arguments, &self.directory, how_to_get);
        process.wait_until(|| self.answers());
        self.process = Some(process);
    }

    /// Whether it was started, and not killed since.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Holds it: it takes connections, and answers nothing.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn pause(&self) {
        self.process.as_ref().expect("it runs").signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn resume(&self) {
        self.process.as_ref().expect("it runs").signal("CONT");
    }

    fn answers(&self) -> bool {
        let asked = || {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 256];
            let count = stream.read(&mut answer)?;
            std::io::Result::Ok(answer[..count].to_vec())
        };
        // One that wants a password, or its primary, is there, too.
        asked().is_ok_and(|answer| !answer.is_empty() && !answer.starts_with(b"-LOADING"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
