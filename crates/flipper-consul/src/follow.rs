//! The watch: blocking queries, one after the other.
//!
//! See <https://developer.hashicorp.com/consul/api-docs/features/blocking>.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_core::{Change, Error, ErrorKind, Result, ResyncCause};
use foldhash::fast::RandomState;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::api::Tree;
use crate::builder::Consistency;
use crate::error::{Asked, error, no_consul};
use crate::kv::Shared;
use crate::record::{Stamp, entries};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How many keys that are gone are asked for one by one.
const ONE_BY_ONE: usize = 32;
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
    /// Somebody else leads the servers, or they have lost their data: what was asked may hang on what was before.
    Outdated,
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
            Ok(Answered::Outdated) => {
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
        let (shared, api) = (&self.shared, &self.shared.api);
        if self.has_begun && self.known.is_none() && shared.heartbeat.is_some() {
            // Before anything that takes longer. Without a leader, nothing changes that could be read.
            self.check_leader().await?;
        }
        let since = (self.known.is_some() && self.index > 0)
            .then(|| (self.index, shared.wait.mul_f64(0.9 + 0.1 * fastrand::f64())));
        let asked = async {
            let tree = api.tree(&shared.prefix, api.consistency, since).await?;
            // Asked for once, and not each time that nothing is there.
            if tree.is_empty() && self.known.as_ref().is_none_or(|known| !known.is_empty()) {
                api.check_rights(&shared.prefix).await?;
            }
            Ok(Answered::Tree(tree))
        };
        match shared.heartbeat {
            Some(interval) => tokio::select! {
                answered = asked => answered,
                ended = self.heartbeat(interval) => ended,
            },
            None => asked.await,
        }
    }

    /// Asks from time to time whether the agent lives: while it waits for a change, a question looks the same with one
    /// that hangs.
    async fn heartbeat(&self, interval: Duration) -> Result<Answered> {
        sleep(interval).await;
        let mut known = self.check_leader().await?;
        if self.is_behind().await? {
            return Ok(Answered::Outdated);
        }
        loop {
            sleep(interval).await;
            // Whoever does not say who leads is there, all the same.
            let Some(leader) = self.check_leader().await? else { continue };
            if known.get_or_insert_with(|| leader.clone()) != &leader {
                return Ok(Answered::Outdated);
            }
        }
    }

    /// Whether the servers are behind what they have told: they may have been started anew without their data after they had told it, and before
    /// they were asked again. The question would wait until they are as far again.
    async fn is_behind(&self) -> Result<bool> {
        let api = &self.shared.api;
        // Any server may be behind another one.
        if self.index == 0 || api.consistency == Consistency::Stale {
            return Ok(false);
        }
        Ok(api.index(&self.shared.prefix).await?.is_some_and(|index| index < self.index))
    }

    async fn check_leader(&self) -> Result<Option<String>> {
        let leader = self.shared.api.leader(PATIENCE).await?;
        match leader.as_deref() {
            Some("") => Err(error(ErrorKind::Unavailable, "the servers have no leader")),
            _ => Ok(leader),
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
            let mut known = HashMap::new();
            for (name, entry) in flags {
                known.entry(name.into()).or_insert_with(|| entry.stamp());
            }
            self.known = Some(known);
            let cause = if self.has_begun { ResyncCause::Reconnected } else { ResyncCause::Started };
            self.changes.push_back(Change::Resync { cause });
            (self.has_begun, self.is_down) = (true, false);
            return Ok(1);
        };
        // Keys that are no UTF-8 may look the same: the first one counts.
        let mut names: HashSet<&str, RandomState> = HashSet::default();
        for (name, entry) in flags.filter(|(name, _)| names.insert(name)) {
            let stamp = entry.stamp();
            match known.get_mut(name) {
                Some(before) if *before == stamp => continue,
                Some(before) => *before = stamp,
                None => drop(known.insert(name.into(), stamp)),
            }
            self.changes.push_back(entry.change(name));
        }
        let gone: Vec<Box<str>> = known.keys().filter(|name| !names.contains(&***name)).cloned().collect();
        known.retain(|name, _| names.contains(&**name));
        // They may have been deleted, or nobody may see them any more: whoever listens asks, for each, or by a load.
        if gone.len() > ONE_BY_ONE || (names.is_empty() && gone.len() >= self.shared.emptied_from) {
            self.changes.push_back(Change::Resync { cause: ResyncCause::Server });
        } else {
            self.changes.extend(gone.into_iter().map(|name| Change::Touched { name }));
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
