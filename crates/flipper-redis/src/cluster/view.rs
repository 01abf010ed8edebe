//! Which server has which slot, as each of them says of itself, and which slots are being moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::cmd;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::nodes::Cluster;
use super::slot::SLOTS;
use super::table::text;
use crate::error::{Asked, error, of_driver, shut_down};
use crate::record::unexpected;

/// How long to wait before servers that do not agree with each other are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// What all servers say of themselves at about the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Which servers have slots, by address.
    pub(super) primaries: BTreeMap<Address, Own>,
}

/// What a server says of itself in its answer to `CLUSTER NODES`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    id: Box<str>,
    is_primary: bool,
    epoch: u64,
    /// The first and the last slot of each range that it has.
    ranges: Vec<(u16, u16)>,
    /// How many slots these are.
    count: usize,
    /// Slots whose keys are on their way, and from whom to whom.
    moves: BTreeSet<Move>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Move {
    slot: u16,
    from: Box<str>,
    to: Box<str>,
}

impl Own {
    /// Reads the line that a server marks as its own.
    fn read(nodes: &str) -> Result<Self> {
        // Only flags tell: a host may be called like this, too.
        let has = |line: &str, wanted: &str| {
            line.split_ascii_whitespace()
                .nth(2)
                .is_some_and(|flags| flags.split(',').any(|flag| flag == wanted))
        };
        let line = nodes.lines().find(|line| has(line, "myself")).ok_or_else(unexpected)?;
        let is_primary = has(line, "master");
        let mut fields = line.split_ascii_whitespace();
        let id: Box<str> = fields.next().ok_or_else(unexpected)?.into();
        // Its address, its flags; its primary, and when it was last asked and answered; its epoch, and the state of its link.
        let epoch = fields.nth(5).and_then(|epoch| epoch.parse().ok()).ok_or_else(unexpected)?;
        let mut own = Self { id, is_primary, epoch, ..Self::default() };
        for field in fields.skip(1) {
            own.take(field).ok_or_else(unexpected)?;
        }
        Ok(own)
    }

    /// Takes a slot `7`, a range `0-99`, or a slot that is being moved, `[7->-id]` or `[7-<-id]`.
    fn take(&mut self, field: &str) -> Option<()> {
        if let Some(moved) = field.strip_prefix('[').and_then(|field| field.strip_suffix(']')) {
            let (slot, other, leaves) = match moved.split_once("->-") {
                Some((slot, other)) => (slot, other, true),
                None => moved.split_once("-<-").map(|(slot, other)| (slot, other, false))?,
            };
            let (slot, ours) = (slot.parse().ok()?, self.id.clone());
            let (from, to) = if leaves { (ours, other.into()) } else { (other.into(), ours) };
            self.moves.insert(Move { slot, from, to });
            return Some(());
        }
        let (first, last) = field.split_once('-').unwrap_or((field, field));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        let taken: usize = usize::from(last.checked_sub(first)?) + 1;
        // Nobody has more than there are, however often it says so.
        self.count = self.count.checked_add(taken).filter(|count| *count <= usize::from(SLOTS))?;
        (last < SLOTS).then(|| self.ranges.push((first, last)))
    }
}

impl View {
    /// For each slot, who says to have it.
    fn owners(&self) -> Vec<Option<&str>> {
        let mut owners = vec![None; usize::from(SLOTS)];
        for own in self.primaries.values() {
            for (first, last) in &own.ranges {
                owners[usize::from(*first)..=usize::from(*last)].fill(Some(&*own.id));
            }
            // While a slot changes hands, for a moment neither may have it.
            for arriving in own.moves.iter().filter(|arriving| arriving.to == own.id) {
                owners[usize::from(arriving.slot.min(SLOTS - 1))].get_or_insert(&*own.id);
            }
        }
        owners
    }

    /// Whether each slot is in the hands of a server, all of which are primaries.
    fn is_whole(&self) -> bool {
        self.primaries.values().all(|own| own.is_primary) && self.owners().iter().all(Option::is_some)
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.primaries.values().flat_map(|own| &own.moves)
    }
}

/// Whether one who has scanned all servers between each of these views and the next, in the same order, has met every key that was there
/// all the time.
///
/// Where nothing has moved, once is enough. A key that moves is on one of two servers, and one who comes to both of them twice comes to
/// the second after the first, whichever way it goes. Of keys that move further, nothing is certain.
pub(super) fn is_complete(views: &[View]) -> bool {
    let Some((last, before)) = views.split_last() else { return false };
    if before.last().is_some_and(|before| before == last && last.moves().next().is_none()) {
        return true;
    }
    let [first, second] = before.get(before.len().saturating_sub(2)..).unwrap_or_default() else {
        return false;
    };
    let seen = [first, second, last];
    let mut moves: BTreeSet<Move> = seen.iter().flat_map(|view| view.moves().cloned()).collect();
    for (earlier, later) in [(first, second), (second, last)] {
        for (slot, (from, to)) in earlier.owners().into_iter().zip(later.owners()).enumerate() {
            if let (Some(from), Some(to)) = (from, to)
                && from != to
            {
                moves.insert(Move { slot: slot as u16, from: from.into(), to: to.into() });
            }
        }
    }
    let moves: Vec<_> = moves.into_iter().collect();
    moves.windows(2).all(|pair| pair[0].slot != pair[1].slot)
}

impl Cluster {
    /// Asks all servers, until together they have all slots.
    pub(super) async fn view(self: &Arc<Self>) -> Result<View> {
        let deadline = Instant::now() + self.dialer.timeout;
        loop {
            let table = self.refresh(Instant::now()).await?;
            let mut asked = JoinSet::new();
            for address in &table.primaries {
                let (address, node) = (address.clone(), self.node(address)?);
                asked.spawn(async move {
                    let answer = node.link.read(cmd("CLUSTER").arg("NODES"), false).await?;
                    let answer =
                        answer.extract_error().map_err(|failure| of_driver(&failure, Asked::Read))?;
                    Ok::<_, Error>((address, Own::read(&text(answer)?)?))
                });
            }
            let mut view = View::default();
            while let Some(answer) = asked.join_next().await {
                let (address, own) = answer.map_err(|_| shut_down())??;
                view.primaries.insert(address, own);
            }
            if view.is_whole() {
                return Ok(view);
            }
            if Instant::now() + PAUSE > deadline {
                let message = "some slots of the Redis Cluster have no server at present, so that flags would be missing";
                return Err(error(ErrorKind::Unavailable, message));
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster of `a` and `b`, where each says this of its slots.
    fn view(a: &str, b: &str) -> View {
        let own = |id: &str, slots: &str| {
            let nodes = format!(
                "c 127.0.0.1:7@17 slave {id} 0 0 5 connected\n{id} 127.0.0.1:8@18,host myself,master - 0 0 5 connected {slots}\n"
            );
            (Address { host: id.into(), port: 1 }, Own::read(&nodes).unwrap())
        };
        View { primaries: [own("a", a), own("b", b)].into() }
    }

    #[test]
    fn a_view_is_whole_if_somebody_has_each_slot() {
        assert!(view("0-99 101", "100 102-16383").is_whole());
        assert!(!view("0-99", "101-16383").is_whole());
        assert!(!view("", "").is_whole());
        // It has changed hands, and the new one has not heard yet.
        assert!(view("0-99", "101-16383 [100-<-a]").is_whole());
        let replica = Own::read("a 127.0.0.1:8@18 myself,slave b 0 0 5 connected\n").unwrap();
        let mut with_replica = view("0-99", "100-16383");
        with_replica.primaries.insert(Address { host: "c".into(), port: 1 }, replica);
        assert!(!with_replica.is_whole());
        for hostile in [
            "",
            "x",
            "a b myself",
            "a b myself,master - 0 0 x connected",
            "a b myself,master - 0 0 1 c 5-3",
            "a b myself,master - 0 0 1 c 16384",
            "a b myself,master - 0 0 1 c [5-b]",
            "a b myself,master - 0 0 1 c 0-16383 7",
            "a b master - 0 0 1 c myself",
        ] {
            assert!(Own::read(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn a_host_may_be_called_as_a_server_calls_itself() {
        let nodes = "a 127.0.0.1:7@17,myself-1 master - 0 0 1 connected 0-99\n\
                     b 127.0.0.1:8@18,myself-2 myself,master - 0 0 2 connected 100-16383\n";
        let own = Own::read(nodes).unwrap();
        assert_eq!((&*own.id, own.epoch, own.ranges), ("b", 2, vec![(100, 16_383)]));
    }

    #[test]
    fn one_round_is_enough_if_nothing_moves_and_two_if_nothing_moves_twice() {
        let still = view("0-99", "100-16383");
        let moving = view("0-99 [7->-b]", "100-16383 [7-<-a]");
        let moved = view("0-6 8-99", "7 100-16383");
        let many = view("0-99 [7->-b] [8->-b]", "100-16383 [7-<-a] [100->-a]");
        let of = |views: &[&View]| is_complete(&views.iter().map(|view| (*view).clone()).collect::<Vec<_>>());
        assert!(!of(&[]) && !of(&[&still]));
        assert!(of(&[&still, &still]));
        assert!(!of(&[&moving, &moving]) && !of(&[&still, &moved]) && !of(&[&still, &moving]));
        assert!(
            of(&[&still, &moving, &moved]) && of(&[&moving, &moved, &moved]) && of(&[&still, &moved, &moved])
        );
        assert!(of(&[&many, &many, &many]));
        // There and back.
        assert!(!of(&[&still, &moved, &still]));
        assert!(!of(&[&moving, &moved, &still]));
        assert!(of(&[&still, &moved, &still, &still]));
    }
}
