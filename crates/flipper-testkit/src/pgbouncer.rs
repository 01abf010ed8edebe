//! A pooler for a test.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use crate::postgres_server::{own, path, prefixed};
use crate::process::{Process, directory, free_port};

/// Runs a `pgbouncer` of its own before a server, which gives each transaction another connection. It is killed when this is dropped or the process
/// ends, however it does.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::{PgBouncer, PostgresServer};
///
/// let server = PostgresServer::start(&[]);
/// let pooler = PgBouncer::start(server.address(), &["default_pool_size=2"]);
/// println!("{}", server.url_at(pooler.address()));
/// ```
#[derive(Debug)]
pub struct PgBouncer {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl PgBouncer {
    /// Starts one before a [`PostgresServer`](crate::PostgresServer), with settings such as `default_pool_size=2`. It lets everybody in.
    ///
    /// # Panics
    ///
    /// If there is no `pgbouncer`, or it does not start.
    pub fn start(server: SocketAddr, settings: &[&str]) -> Self {
        let (directory, port) = (directory(), free_port());
        let configuration = directory.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={} user=flipper password=secret\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\n{}\n",
            server.ip(),
            server.port(),
            settings.join("\n"),
        );
        fs::write(&configuration, text).expect("a file");
        own(&directory);
        let mut arguments = prefixed(&path(&program()));
        arguments.push(path(&configuration));
        let mut pooler = Self { directory, port, process: None };
        let process = Process::start("env", &arguments, &pooler.directory, "it is a part of every system");
        process.wait_until(|| TcpStream::connect(pooler.address()).is_ok());
        pooler.process = Some(process);
        pooler
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// On the PATH, or where Debian has it.
fn program() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&on_path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join("pgbouncer")).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("pgbouncer is not on PATH: install it (Debian: apt-get install pgbouncer), or run `scripts/test`, which does it")
    })
}
