//! Following the changes of all servers of a cluster.

use std::collections::HashMap;
use std::sync::Arc;

use flipper_core::{Change, Error, ErrorKind, Result};
use redis::{Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::address::Address;
use super::nodes::{Cluster, unserved};
use super::slot::slot;
use super::table::{Info, text};
use crate::error::{Asked, error, late, of_driver, shut_down};
use crate::follow::{PATIENCE, SILENCE, Told, change};
use crate::inbox::Inbox;
use crate::list::gets;
use crate::redirect::Redirect;
use crate::shared::Shared;
use crate::wire::Live;

/// A server that tells what changes there.
struct Teller {
    address: Address,
    live: Live,
    /// What it has said of the cluster.
    info: Info,
}

/// Passes on what all servers tell, until one of them is lost or there are others. `None` if one of them cannot tell.
pub(crate) async fn follow(shared: &Arc<Shared>, cluster: &Arc<Cluster>) -> Result<Option<()>> {
    let inbox = Arc::new(Inbox::default());
    let table = cluster.refresh(Instant::now()).await?;
    if let Some(slot) = table.unserved() {
        return Err(unserved(slot));
    }
    let mut dialed = JoinSet::new();
    for address in table.primaries.clone() {
        let (node, inbox) = (cluster.node(&address)?, Arc::clone(&inbox));
        dialed.spawn(async move {
            let live = node.dialer.dial(Some(&inbox)).await?;
            Ok::<_, Error>(Teller { info: ask(&live).await?, address, live })
        });
    }
    let mut tellers = Vec::new();
    while let Some(teller) = dialed.join_next().await {
        tellers.push(teller.map_err(|_| shut_down())??);
    }
    if !tellers.iter().all(|teller| teller.live.traits.tracks()) {
        return Ok(None);
    }
    // Others may have come while these were reached.
    check(cluster, &tellers).await?;
    shared.following.up();
    hear(shared, cluster, tellers, &inbox).await.map(Some)
}

async fn hear(
    shared: &Shared,
    cluster: &Arc<Cluster>,
    mut tellers: Vec<Teller>,
    inbox: &Inbox,
) -> Result<()> {
    let mut beat = interval(SILENCE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inbox.told() => {}
            () = cluster.dialer.moved.notified() => {
                check(cluster, &tellers).await?;
                continue;
            }
            _ = beat.tick() => {
                if listen(&mut tellers).await? {
                    check(cluster, &tellers).await?;
                }
                continue;
            }
        }
        match Told::of(inbox, &shared.keys)? {
            Told::Everything(cause) => shared.following.tell(&Change::Resync { cause }),
            Told::Keys(keys) => tell(shared, cluster, keys).await?,
        }
    }
}

/// Asks all whether they are still there; returns whether any of them says anything new of the cluster.
async fn listen(tellers: &mut [Teller]) -> Result<bool> {
    let mut asked = JoinSet::new();
    for (number, teller) in tellers.iter().enumerate() {
        let live = teller.live.clone();
        asked.spawn(async move { (number, ask(&live).await) });
    }
    let mut is_news = false;
    while let Some(answer) = asked.join_next().await {
        let Ok((number, answer)) = answer else { continue };
        let info = answer?;
        is_news |= std::mem::replace(&mut tellers[number].info, info) != info;
    }
    Ok(is_news)
}

async fn ask(live: &Live) -> Result<Info> {
    let mut info = cmd("CLUSTER");
    info.arg("INFO");
    let answer = timeout(PATIENCE, live.send(&info)).await.unwrap_or_else(|_| Err(late()));
    let answer = answer.and_then(Value::extract_error).map_err(|failure| of_driver(&failure, Asked::Read))?;
    Ok(Info::read(&text(answer)?))
}

/// Fails if there are other primaries than those that tell.
async fn check(cluster: &Arc<Cluster>, tellers: &[Teller]) -> Result<()> {
    let table = cluster.refresh(Instant::now()).await?;
    let is_told = |primary: &Address| tellers.iter().any(|teller| teller.address == *primary);
    if table.primaries.len() == tellers.len() && table.primaries.iter().all(is_told) {
        return Ok(());
    }
    Err(error(ErrorKind::Unavailable, "the Redis Cluster has other primaries by now"))
}

/// Reads keys where they are, and tells what they have.
async fn tell(shared: &Shared, cluster: &Arc<Cluster>, keys: Vec<Vec<u8>>) -> Result<()> {
    /// How many keys are read at once.
    const READ: usize = 256;
    let mut at: HashMap<Address, Vec<Vec<u8>>> = HashMap::new();
    let table = match cluster.table() {
        Some(table) => table,
        None => cluster.refresh(Instant::now()).await?,
    };
    for key in keys {
        let slot = slot(&key);
        let address = table.primary_of(slot).ok_or_else(|| unserved(slot))?;
        at.entry(address.clone()).or_default().push(key);
    }
    for (address, keys) in at {
        let node = cluster.node(&address)?;
        for keys in keys.chunks(READ) {
            let answers = node.link.live().await?.send_all(&gets(keys)).await;
            let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
            for (key, answer) in keys.iter().zip(answers) {
                let answer = match answer {
                    Value::ServerError(failure) if Redirect::is_one(failure.code()) => {
                        cluster.read(key).await?
                    }
                    answer => answer,
                };
                let name = shared.keys.name(key).unwrap_or_default();
                shared.following.tell(&change(name, answer)?);
            }
        }
    }
    Ok(())
}
