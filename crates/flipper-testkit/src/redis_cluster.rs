//! A real Redis Cluster.

use crate::redis_admin::{ask, tell, wait_until};
use crate::redis_server::RedisServer;

/// Runs a Redis Cluster on free ports of this machine: primaries that share all slots, and replicas of each.
///
/// Servers are named by their numbers: first the primaries, then the replicas, of the first primary, of the second, and so on. A failover
/// takes about two seconds. Its methods block.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::RedisCluster;
///
/// let mut cluster = RedisCluster::start(3, 1, &[]);
/// println!("{}", cluster.url());
/// let primary = cluster.primary_of("features/X");
/// cluster.server(primary).kill();
/// cluster.wait_for_failover(primary);
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
    arguments: Vec<String>,
}

const SLOTS: usize = 16_384;

impl RedisCluster {
    /// Starts so many primaries, with so many replicas each, with further arguments for each server.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server` of release 7 or later on the PATH, or they do not find together.
    pub fn start(primaries: usize, replicas: usize, arguments: &[&str]) -> Self {
        let mut cluster =
            Self { servers: Vec::new(), arguments: arguments.iter().map(ToString::to_string).collect() };
        for number in 0..primaries {
            cluster.launch();
            let (first, last) = (number * SLOTS / primaries, (number + 1) * SLOTS / primaries - 1);
            cluster.tell(number, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            // Different from the start, so that none has to give way to another one.
            cluster.tell(number, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        (1..primaries).for_each(|number| cluster.meet(number));
        for number in 0..primaries * replicas {
            let replica = cluster.launch();
            cluster.meet(replica);
            cluster.replicate(replica, number / replicas);
        }
        cluster.wait();
        cluster
    }

    /// Starts a primary without slots, and returns its number.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn join(&mut self) -> usize {
        let number = self.launch();
        self.meet(number);
        self.wait();
        number
    }

    fn launch(&mut self) -> usize {
        let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        // Or else a primary becomes a replica with its last slot.
        arguments.extend(["--cluster-allow-replica-migration", "no"]);
        arguments.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        self.servers.push(RedisServer::start(&arguments));
        self.servers.len() - 1
    }

    fn meet(&self, number: usize) {
        let first = self.servers[0].address();
        // The port of the bus is not the one that is guessed.
        let bus = ask(first, &["CONFIG", "GET", "cluster-port"]);
        let bus = bus.lines().last().unwrap_or_default().to_owned();
        self.tell(number, &["CLUSTER", "MEET", "127.0.0.1", &first.port().to_string(), &bus]);
        wait_until("it knows the first one", || self.nodes(number).contains(&self.id(0)));
    }

    fn replicate(&self, replica: usize, primary: usize) {
        let id = self.id(primary);
        wait_until("the replica knows its primary", || self.nodes(replica).contains(&id));
        wait_until("it is a replica", || self.ask(replica, &["CLUSTER", "REPLICATE", &id]) == "OK");
    }

    /// Waits until all servers that run know each other, and all slots are served.
    ///
    /// # Panics
    ///
    /// If that takes longer than 30 s.
    pub fn wait(&self) {
        let running: Vec<_> =
            (0..self.servers.len()).filter(|number| self.servers[*number].is_running()).collect();
        let known = format!("cluster_known_nodes:{}", self.servers.len());
        for number in running {
            wait_until("the cluster works", || {
                let info = self.ask(number, &["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains(&known)
            });
            wait_until("replicas are up to date", || {
                let info = self.ask(number, &["INFO", "replication"]);
                info.contains("role:master") || info.contains("master_link_status:up")
            });
        }
    }

    /// Returns the address of all servers that were there from the start.
    pub fn url(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(|server| server.address().to_string()).collect();
        format!("redis-cluster://{}", servers.join(","))
    }

    /// Returns a server.
    ///
    /// # Panics
    ///
    /// If there is none of that number.
    pub fn server(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[number]
    }

    /// Returns how many servers there are, whether they run or not.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Returns the number of the server that has the slot of a key.
    ///
    /// # Panics
    ///
    /// If none has it within 30 s.
    pub fn primary_of(&self, key: &str) -> usize {
        self.primary_of_slot(self.slot_of(key))
    }

    /// Returns the slot of a key.
    ///
    /// # Panics
    ///
    /// If no server runs.
    pub fn slot_of(&self, key: &str) -> u16 {
        let running = self.running().next().expect("a server that runs");
        self.ask(running, &["CLUSTER", "KEYSLOT", key]).parse().expect("a slot")
    }

    fn primary_of_slot(&self, slot: u16) -> usize {
        let mut found = None;
        wait_until("the slot has a server", || self.running().any(|number| self.has(number, slot)));
        for number in self.running() {
            if self.has(number, slot) {
                found = Some(number);
            }
        }
        found.expect("it was there a moment ago")
    }

    /// Whether a server takes itself for the one that has a slot.
    fn has(&self, number: usize, slot: u16) -> bool {
        let nodes = self.nodes(number);
        let Some(own) = nodes.lines().find(|line| line.contains("myself,master")) else { return false };
        own.split(' ').skip(8).filter_map(|range| range.split_once('-').or(Some((range, range)))).any(|(first, last)| {
            let bound = |text: &str| text.parse::<u16>().ok();
            matches!((bound(first), bound(last)), (Some(first), Some(last)) if (first..=last).contains(&slot))
        })
    }

    /// Waits until another server has taken the place of one that was killed or held.
    ///
    /// # Panics
    ///
    /// If none does within 30 s.
    pub fn wait_for_failover(&self, of: usize) {
        let id = self.id_seen(of);
        let others: Vec<_> = self.running().filter(|number| *number != of).collect();
        for number in others {
            wait_until("another server takes its place", || {
                let nodes = self.nodes(number);
                let lost = nodes.lines().find(|line| line.contains(&id)).unwrap_or_default();
                // It has no slots any longer.
                lost.split(' ').count() <= 8
                    && self.ask(number, &["CLUSTER", "INFO"]).contains("cluster_state:ok")
            });
        }
    }

    /// Has a replica take the place of its primary, both of which run.
    ///
    /// # Panics
    ///
    /// If it does not within 30 s.
    pub fn promote(&self, replica: usize) {
        wait_until("the replica takes over", || {
            self.ask(replica, &["CLUSTER", "FAILOVER"]);
            std::thread::sleep(std::time::Duration::from_millis(200));
            self.nodes(replica).lines().any(|line| line.contains("myself,master"))
        });
        self.wait();
    }

    /// Begins to move a slot: from now on, keys that are not there any longer are asked of the other one.
    ///
    /// # Panics
    ///
    /// If the servers refuse it.
    pub fn begin_move(&self, slot: u16, to: usize) {
        let (from, slot) = (self.primary_of_slot(slot), slot.to_string());
        self.tell(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        self.tell(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
    }

    /// Moves the keys that a slot has now.
    ///
    /// # Panics
    ///
    /// As [`begin_move`](Self::begin_move).
    pub fn move_keys(&self, slot: u16, to: usize) {
        let from = self.primary_of_slot(slot);
        let port = self.servers[to].address().port().to_string();
        let keys = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "1000000"]);
        for key in keys.lines() {
            // One that took the place of another may still have a key that had moved away from there, just before.
            let answer = self.ask(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000", "REPLACE"]);
            assert!(["OK", "NOKEY"].contains(&answer.as_str()), "{key}: {answer}");
        }
        self.wait_for_replicas(to);
    }

    /// Waits until the replicas of a server have what it has now: it would be lost with the server.
    fn wait_for_replicas(&self, number: usize) {
        let field = |info: &str, name: &str| -> Option<u64> {
            info.split(['\n', ',']).find_map(|field| field.strip_prefix(name)?.trim().parse().ok())
        };
        let reached = field(&self.ask(number, &["INFO", "replication"]), "master_repl_offset:");
        wait_until("the replicas have it as well", || {
            let info = self.ask(number, &["INFO", "replication"]);
            let mut replicas =
                info.lines().filter(|line| line.starts_with("slave") && line.contains("offset="));
            replicas.all(|replica| field(replica, "offset=") >= reached)
        });
    }

    /// Ends the move of a slot.
    ///
    /// # Panics
    ///
    /// As [`begin_move`](Self::begin_move).
    pub fn end_move(&self, slot: u16, to: usize) {
        let (from, slot, id) = (self.primary_of_slot(slot), slot.to_string(), self.id(to));
        self.tell(to, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        self.tell(from, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        // The other primaries hear of it in time; here they know before it moves on. Replicas refuse it.
        for other in self.running().filter(|other| *other != to && *other != from) {
            self.ask(other, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
    }

    /// Moves a slot and its keys.
    ///
    /// # Panics
    ///
    /// As [`begin_move`](Self::begin_move).
    pub fn move_slot(&self, slot: u16, to: usize) {
        if self.primary_of_slot(slot) != to {
            self.begin_move(slot, to);
            self.move_keys(slot, to);
            self.end_move(slot, to);
        }
    }

    fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.servers.len()).filter(|number| self.servers[*number].is_running())
    }

    fn id(&self, number: usize) -> String {
        self.ask(number, &["CLUSTER", "MYID"])
    }

    /// The name of a server that may not run, as another one knows it.
    fn id_seen(&self, number: usize) -> String {
        let port = format!("127.0.0.1:{}@", self.servers[number].address().port());
        let other = self.running().find(|other| *other != number).expect("another server that runs");
        let nodes = self.nodes(other);
        let line = nodes.lines().find(|line| line.contains(&port)).expect("it is known");
        line.split(' ').next().unwrap_or_default().to_owned()
    }

    fn nodes(&self, number: usize) -> String {
        self.ask(number, &["CLUSTER", "NODES"])
    }

    fn ask(&self, number: usize, words: &[&str]) -> String {
        ask(self.servers[number].address(), words)
    }

    fn tell(&self, number: usize, words: &[&str]) {
        tell(self.servers[number].address(), words);
    }
}
