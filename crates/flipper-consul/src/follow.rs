//! The watch: blocking queries, one after the other.
//!
//! See <https://developer.hashicorp.com/consul/api-docs/features/blocking>.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_core::{Change, Error, ErrorKind, Result, ResyncCause};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::api::Tree;
use crate::builder::Consistency;
use crate::error::{Asked, error, no_consul};
use crate::kv::Shared;
use crate::record::{Stamp, entries};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long the agent may take to say who leads.
const PATIENCE: Duration = Duration::from_secs(1);

/// One who follows the keys.
pub(crate) struct Follow {
    shared: Arc<Shared>,
    is_closed: watch::Receiver<bool>,
    /// The states of all keys as they were told; `None` before the first answer, and after a gap.
    known: Option<HashMap<Box<str>, Stamp>>,
    index: u64,
    has_begun: bool,
    is_down: bool,
    /// How long to wait before the next question: after an error, or after an answer without a change.
    pause: Duration,
    changes: VecDeque<Change>,
}

/// What has ended a question.
enum Answered {
    Tree(Tree),
    /// Somebody else leads the servers: what was asked may hang on the one before.
    LeaderChanged,
}

impl Follow {
    pub(crate) fn new(shared: Arc<Shared>, is_closed: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            is_closed,
            known: None,
            index: 0,
            has_begun: false,
            is_down: false,
            pause: Duration::ZERO,
            changes: VecDeque::new(),
        }
    }

    /// Returns the next change; `None` once the store is closed.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Some(change);
            }
            let mut is_closed = self.is_closed.clone();
            let is_over = async {
                // An error: the store was dropped.
                let _ = is_closed.wait_for(|is_closed| *is_closed).await;
            };
            tokio::select! {
                biased;
                () = is_over => return None,
                () = self.step() => {}
            }
        }
    }

    async fn step(&mut self) {
        if !self.pause.is_zero() {
            sleep(self.pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        }
        let start = Instant::now();
        let asked = self.ask().await;
        let took = Instant::now();
        let told = match asked {
            Ok(Answered::Tree(tree)) => self.take(&tree),
            Ok(Answered::LeaderChanged) => {
                self.index = 0;
                Ok(0)
            }
            Err(error) => Err(error),
        };
        match told {
            // The time was up.
            Ok(0) if took - start > self.shared.wait / 2 => self.pause = Duration::ZERO,
            // An answer that brings nothing has come too early: perhaps from somebody who does not know blocking queries.
            Ok(0) => self.pause = (self.pause * 2).clamp(Duration::from_millis(5), LONGEST_WAIT),
            // As long again as it took to take it over: half of a processor is enough.
            Ok(_) => self.pause = took.elapsed().min(LONGEST_WAIT),
            Err(error) => self.set_down(error),
        }
    }

    async fn ask(&self) -> Result<Answered> {
        let shared = &self.shared;
        let since = (self.known.is_some() && self.index > 0)
            .then(|| (self.index, shared.wait.mul_f64(0.9 + 0.1 * fastrand::f64())));
        let tree = shared.api.tree(&shared.prefix, since);
        let (Some(interval), true) = (shared.heartbeat, since.is_some()) else {
            return tree.await.map(Answered::Tree);
        };
        tokio::select! {
            tree = tree => tree.map(Answered::Tree),
            ended = self.heartbeat(interval) => ended,
        }
    }

    /// Asks from time to time whether the agent lives: while it waits for a change, a question looks the same with one
    /// that hangs.
    async fn heartbeat(&self, interval: Duration) -> Result<Answered> {
        let mut known = None;
        loop {
            sleep(interval).await;
            let leader = self.shared.api.leader(PATIENCE).await?;
            if leader.is_empty() && self.shared.api.consistency != Consistency::Stale {
                return Err(error(ErrorKind::Unavailable, "the servers have no leader"));
            }
            if known.get_or_insert_with(|| leader.clone()) != &leader {
                return Ok(Answered::LeaderChanged);
            }
        }
    }

    /// Takes an answer over; returns how much is to be told.
    fn take(&mut self, tree: &Tree) -> Result<usize> {
        let entries = entries(&tree.body).map_err(|_| no_consul(Asked::Read))?;
        // One that goes back means other data: ask without it, once.
        self.index = if tree.index < self.index { 0 } else { tree.index };
        let prefix = &*self.shared.prefix;
        let flags = entries.iter().filter(|entry| !entry.is_folder());
        let flags = flags.filter_map(|entry| Some((entry.key.strip_prefix(prefix)?, entry)));
        let Some(known) = &mut self.known else {
            self.known = Some(flags.map(|(name, entry)| (name.into(), entry.stamp())).collect());
            let cause = if self.has_begun { ResyncCause::Reconnected } else { ResyncCause::Started };
            self.changes.push_back(Change::Resync { cause });
            (self.has_begun, self.is_down) = (true, false);
            return Ok(1);
        };
        let mut count = 0;
        for (name, entry) in flags {
            count += 1;
            let stamp = entry.stamp();
            match known.get_mut(name) {
                Some(before) if *before == stamp => continue,
                Some(before) => *before = stamp,
                None => drop(known.insert(name.into(), stamp)),
            }
            self.changes.push_back(entry.change(name));
        }
        if count == 0 && known.len() > 1 {
            // Nobody deletes all flags at once: whoever listens finds out by a load.
            known.clear();
            self.changes.push_back(Change::Resync { cause: ResyncCause::Server });
        } else if count < known.len() {
            let names: std::collections::HashSet<&str> =
                entries.iter().filter_map(|entry| entry.key.strip_prefix(prefix)).collect();
            known.retain(|name, _| {
                let is_there = names.contains(&**name);
                if !is_there {
                    self.changes.push_back(Change::Deleted { name: name.clone(), version: None });
                }
                is_there
            });
        }
        Ok(self.changes.len())
    }

    fn set_down(&mut self, error: Error) {
        if !self.has_begun {
            self.changes.push_back(Change::Resync { cause: ResyncCause::Started });
            self.has_begun = true;
        }
        if self.is_down {
            self.pause = (self.pause * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        } else {
            self.changes.push_back(Change::Down { error });
            (self.is_down, self.pause) = (true, FIRST_WAIT);
        }
        (self.known, self.index) = (None, 0);
    }
}
