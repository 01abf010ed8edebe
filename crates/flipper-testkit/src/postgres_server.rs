//! A `PostgreSQL` for a test.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{Process, directory, free_port};

/// Runs a `postgres` of its own on a free port of this machine. It is killed when this is dropped or the process ends, however it does.
///
/// The user is `flipper`, the password `secret`, the database `postgres`.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::PostgresServer;
///
/// let mut server = PostgresServer::start(&[]);
/// println!("{}", server.url());
/// server.restart();
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    directory: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Option<Process>,
}

impl PostgresServer {
    /// Starts a server without tables, with settings such as `max_connections=20`.
    ///
    /// # Panics
    ///
    /// If there is no `postgres`, or it does not start.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_with_files(&[], settings)
    }

    /// Starts a server as [`start`](Self::start) does, beside files that only it can read: certificates, or a `pg_hba.conf`. In a setting, `{files}`
    /// is where they are: `ssl_key_file={files}/key.pem`.
    ///
    /// # Panics
    ///
    /// If there is no `postgres`, or it does not start.
    pub fn start_with_files(files: &[(&str, &[u8])], settings: &[&str]) -> Self {
        let directory = directory();
        fs::write(directory.join("password"), "secret").expect("a file");
        for (name, content) in files {
            let file = directory.join(name);
            fs::write(&file, content).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of our own");
        }
        own(&directory);
        let data = directory.join("data");
        let (data, password) = (path(&data), path(&directory.join("password")));
        run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "flipper",
                "-A",
                "scram-sha-256",
                "--pwfile",
                &password,
                "-E",
                "UTF8",
                "--no-sync",
            ],
        );
        Self::of(directory, settings)
    }

    /// Starts a standby, which follows this one and can be read.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn standby(&self) -> Self {
        let directory = directory();
        own(&directory);
        let data = path(&directory.join("data"));
        let source = format!("host=127.0.0.1 port={} user=flipper password=secret", self.port);
        run(
            "pg_basebackup",
            &["-D", &data, "-d", &source, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"],
        );
        Self::of(directory, &[])
    }

    fn of(directory: PathBuf, settings: &[&str]) -> Self {
        let files = path(&directory);
        let settings = settings.iter().map(|setting| setting.replace("{files}", &files)).collect();
        let mut server = Self { directory, port: free_port(), settings, process: None };
        server.restart();
        server
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns its address, with user and password.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// Returns the address of somebody in front of it, with user and password.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://flipper:secret@{address}/postgres")
    }

    /// Makes a standby a primary, and waits until it is one.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn promote(&self) {
        run("pg_ctl", &["promote", "-w", "-D", &path(&self.directory.join("data"))]);
    }

    /// Kills it, as a machine that loses its power does. Its files stay.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, after it was killed if it runs, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let (data, sockets) = (path(&self.directory.join("data")), path(&self.directory));
        let port = self.port.to_string();
        let mut arguments = prefixed(&path(&binary("postgres")));
        arguments.extend(["-D", &data, "-p", &port, "-k", &sockets].map(str::to_owned));
        let defaults =
            ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=200", "wal_level=replica"];
        for setting in defaults.into_iter().chain(self.settings.iter().map(String::as_str)) {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let process = Process::start("env", &arguments, &self.directory, "it is a part of every system");
        process.wait_until(|| self.answers());
        self.process = Some(process);
    }

    /// Holds it: it takes connections, and answers nothing new.
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
        let ready = Command::new(binary("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .stdout(Stdio::null())
            .status();
        ready.is_ok_and(|status| status.success()) && TcpStream::connect(self.address()).is_ok()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A program of the server: on the PATH, or where Debian has it.
fn binary(name: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&on_path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not on PATH: install it (Debian: apt-get install postgresql), or run `scripts/test`, which does it")
    })
}

pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The server refuses to run as root: then it runs as nobody.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

pub(crate) fn prefixed(program: &str) -> Vec<String> {
    let as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];
    let prefix = if is_root() { &as_nobody[..] } else { &[] };
    prefix.iter().copied().chain([program]).map(str::to_owned).collect()
}

/// Gives a directory to who runs the server.
pub(crate) fn own(directory: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["-R", "nobody:nogroup"]).arg(directory).status();
        assert!(given.is_ok_and(|status| status.success()), "the server's directory is given to nobody");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let command = prefixed(&path(&binary(program)));
    let output = Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
