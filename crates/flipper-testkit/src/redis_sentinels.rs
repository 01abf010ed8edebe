//! A real Redis with replicas, under the eyes of Redis Sentinel.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::process::{Process, directory, free_port};
use crate::redis_admin::{ask, wait_until};
use crate::redis_server::RedisServer;

/// Runs a primary, replicas of it and sentinels, on free ports of this machine. A failover takes about two seconds. Its methods block.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::RedisSentinels;
///
/// let mut group = RedisSentinels::start(1, 3, &[]);
/// println!("{}", group.url());
/// let primary = group.primary();
/// group.server(primary).kill();
/// group.wait_for_failover(primary);
/// ```
#[derive(Debug)]
pub struct RedisSentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RunningSentinel>,
}

#[derive(Debug)]
struct RunningSentinel {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl RedisSentinels {
    /// Starts a primary called `flags` with so many replicas, and so many sentinels, with further arguments for each server.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server` on the PATH, or they do not find together.
    pub fn start(replicas: usize, sentinels: usize, arguments: &[&str]) -> Self {
        let mut servers = Vec::new();
        for number in 0..=replicas {
            let mut all = vec!["--repl-diskless-sync-delay", "0"];
            let primary =
                servers.first().map(|first: &RedisServer| format!("127.0.0.1 {}", first.address().port()));
            if number > 0 {
                all.extend(["--replicaof", primary.as_deref().unwrap_or_default()]);
            }
            all.extend(arguments);
            servers.push(RedisServer::start(&all));
        }
        let mut group = Self { servers, sentinels: Vec::new() };
        for _ in 0..sentinels {
            let sentinel = group.launch(sentinels / 2 + 1);
            group.sentinels.push(sentinel);
        }
        for sentinel in &group.sentinels {
            wait_until("the sentinels know all", || {
                let known = ask(sentinel.address(), &["SENTINEL", "MASTER", "flags"]);
                let known: Vec<_> = known.lines().collect();
                let field = |name: &str| {
                    known.iter().position(|line| *line == name).map(|at| known[at + 1].to_owned())
                };
                field("num-slaves") == Some(replicas.to_string())
                    && field("num-other-sentinels") == Some((sentinels - 1).to_string())
            });
        }
        group
    }

    fn launch(&self, quorum: usize) -> RunningSentinel {
        let (directory, port) = (directory(), free_port());
        let file = directory.join("sentinel.conf");
        let primary = self.servers[0].address().port();
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor flags 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds flags 700\nsentinel failover-timeout flags 5000\n",
            directory.display()
        );
        fs::write(&file, settings).expect("its settings");
        let arguments = [file.display().to_string(), "--sentinel".to_owned()];
        let process = Process::start("redis-server", &arguments, &directory, "install redis-server");
        let sentinel = RunningSentinel { directory, port, process: Some(process) };
        wait_until("the sentinel answers", || ask(sentinel.address(), &["PING"]) == "PONG");
        sentinel
    }

    /// Returns the address of the server by its sentinels.
    pub fn url(&self) -> String {
        let sentinels: Vec<_> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis-sentinel://{}/flags", sentinels.join(","))
    }

    /// Returns a server: the one that was the primary at first is number 0.
    ///
    /// # Panics
    ///
    /// If there is none of that number.
    pub fn server(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[number]
    }

    /// Kills a sentinel.
    ///
    /// # Panics
    ///
    /// If there is none of that number.
    pub fn kill_sentinel(&mut self, number: usize) {
        if let Some(process) = self.sentinels[number].process.take() {
            process.kill();
        }
    }

    /// Returns the number of the server that most sentinels take for the primary.
    ///
    /// # Panics
    ///
    /// If they name none of these servers.
    pub fn primary(&self) -> usize {
        let named = |number: usize| {
            let port = self.servers[number].address().port().to_string();
            let running = self.sentinels.iter().filter(|sentinel| sentinel.process.is_some());
            running
                .filter(|sentinel| {
                    let place = ask(sentinel.address(), &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "flags"]);
                    place.lines().last() == Some(&port)
                })
                .count()
        };
        (0..self.servers.len()).max_by_key(|number| named(*number)).expect("a server")
    }

    /// Waits until another server is the primary.
    ///
    /// # Panics
    ///
    /// If none is within 30 s.
    pub fn wait_for_failover(&self, of: usize) {
        wait_until("another server takes its place", || {
            let primary = self.primary();
            let role = || ask(self.servers[primary].address(), &["ROLE"]);
            primary != of && role().starts_with("master")
        });
    }
}

impl RunningSentinel {
    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for RunningSentinel {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
