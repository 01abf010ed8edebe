//! A real Consul.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Process, directory, free_port};

/// Runs a Consul agent that is a server, on free ports of this machine, in a directory of its own. It is killed when this is
/// dropped or the process ends, however it does.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::ConsulServer;
///
/// let server = ConsulServer::start(&[]);
/// println!("{}", server.url());
/// ```
#[derive(Debug)]
pub struct ConsulServer {
    directory: PathBuf,
    arguments: Vec<String>,
    ports: Ports,
    process: Option<Process>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    server: u16,
    gossip: u16,
}

impl Ports {
    fn free() -> Self {
        Self { http: free_port(), server: free_port(), gossip: free_port() }
    }
}

impl ConsulServer {
    /// Starts a server by itself, with further settings in HCL: `["acl { enabled = true }"]`.
    ///
    /// # Panics
    ///
    /// If there is no `consul`, or it does not start.
    pub fn start(settings: &[&str]) -> Self {
        let mut server = Self::new(Ports::free(), &[], 1, settings);
        server.restart();
        server
    }

    /// Starts servers that elect a leader among them.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn cluster(count: usize, settings: &[&str]) -> Vec<Self> {
        let ports: Vec<_> = (0..count).map(|_| Ports::free()).collect();
        let mut servers: Vec<_> = ports.iter().map(|own| Self::new(*own, &ports, count, settings)).collect();
        for server in &mut servers {
            server.launch();
        }
        for server in &servers {
            server.wait();
        }
        servers
    }

    fn new(own: Ports, all: &[Ports], count: usize, settings: &[&str]) -> Self {
        let directory = directory();
        let Ports { http, server, gossip } = own;
        let join: Vec<_> = all.iter().map(|ports| format!("\"127.0.0.1:{}\"", ports.gossip)).collect();
        let own = format!(
            r#"
            data_dir = "{data}"
            server = true
            bootstrap_expect = {count}
            node_name = "server-{http}"
            bind_addr = "127.0.0.1"
            client_addr = "127.0.0.1"
            disable_update_check = true
            log_level = "debug"
            # As quick as it gets, since machines for tests are not far away from each other.
            performance {{ raft_multiplier = 1 }}
            # Tests ask as fast as they can.
            limits {{ http_max_conns_per_client = 2000 }}
            retry_join = [{join}]
            retry_interval = "300ms"
            ports {{
                http = {http}
                server = {server}
                serf_lan = {gossip}
                serf_wan = -1
                dns = -1
                grpc = -1
            }}
            "#,
            data = directory.join("data").display(),
            join = join.join(", "),
        );
        let mut arguments = vec!["agent".to_owned()];
        let settings = [&*own].into_iter().chain(settings.iter().copied());
        arguments.extend(settings.flat_map(|setting| ["-hcl".to_owned(), setting.to_owned()]));
        Self { directory, arguments, ports: Ports { http, server, gossip }, process: None }
    }

    /// Returns where its HTTP interface listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.http).into()
    }

    /// Returns the address of its HTTP interface.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns all that it has logged, each request among it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("consul.log")).unwrap_or_default()
    }

    /// Returns whether it leads the servers.
    pub fn leads(&self) -> bool {
        let own = format!("127.0.0.1:{}", self.ports.server);
        self.get("/v1/status/leader").is_some_and(|answer| answer.contains(&own))
    }

    /// Kills it, as a machine that loses its power does. Its files stay.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, after it was killed if it runs, and waits until there is a leader.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.launch();
        self.wait();
    }

    /// As [`restart`](Self::restart), without its data.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart_empty(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(self.directory.join("data"));
        self.restart();
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

    fn launch(&mut self) {
        self.kill();
        let how_to_get = "install it (https://developer.hashicorp.com/consul/install)";
        self.process = Some(Process::start("consul", &self.arguments, &self.directory, how_to_get));
    }

    fn wait(&self) {
        let process = self.process.as_ref().expect("it was started");
        // It answers reads only once there is a leader.
        process.wait_until(|| {
            let answer = self.get("/v1/kv/ready");
            answer.is_some_and(|answer| {
                [" 404 ", " 200 ", " 403 "]
                    .iter()
                    .any(|status| answer.get(..20).is_some_and(|line| line.contains(status)))
            })
        });
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: consul\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for ConsulServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
