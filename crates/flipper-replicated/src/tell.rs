//! Telling a replica: the task that does it, and how one flag is told.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, FlagName, Store};
use flipper_follow::Backoff;
use tokio::time::sleep;

use crate::compare::repair;
use crate::queue::{Job, State};
use crate::replica::Replica;

/// How often a flag that changes all the time is told before others have their turn.
const ROUNDS: usize = 4;

/// Why something was not told.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is worth to be tried again.
    Again(Error),
    /// It is not.
    Never(Error),
}

/// Tells a replica what it has to be told, for as long as it takes.
pub(crate) async fn run(primary: Arc<dyn Store>, replica: Arc<Replica>, linger: Duration) {
    let _ended = Ended(&replica);
    let mut backoff = Backoff::default();
    loop {
        let Some(mut job) = replica.begin() else {
            replica.wanted.notified().await;
            if !replica.is_awaited() {
                // What changes again within a moment is told once.
                tokio::select! {
                    () = sleep(linger) => {}
                    () = replica.hurried.notified() => {}
                }
            }
            continue;
        };
        match watched(&replica, carry_out(&*primary, &replica, &mut job)).await {
            Ok(()) => {
                backoff.reset();
                replica.succeeded(&job);
            }
            Err(Trouble::Never(error)) => replica.refused(&job, &error),
            Err(Trouble::Again(error)) => {
                replica.failed(job, &error);
                watched(&replica, sleep(backoff.next_wait())).await;
            }
        }
    }
}

/// Notices meanwhile that the replica falls behind.
async fn watched<T>(replica: &Replica, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(Duration::from_millis(500)) => replica.look(),
        }
    }
}

async fn carry_out(primary: &dyn Store, replica: &Replica, job: &mut Job) -> Result<(), Trouble> {
    match job {
        Job::Everything => repair(primary, replica).await.map(drop),
        Job::Flag(entry) => tell(primary, replica, &entry.name, &mut entry.state).await,
    }
}

/// Tells the state of a flag, and after that whatever the primary has, until it has nothing else: of two processes that tell the same replica, the one
/// that is the last to write has also read the primary after that.
///
/// What was told is forgotten as it goes, so that nothing is told twice if this begins anew.
pub(crate) async fn tell(
    primary: &dyn Store,
    replica: &Replica,
    name: &str,
    state: &mut State,
) -> Result<(), Trouble> {
    for _ in 0..ROUNDS {
        let told = match std::mem::replace(state, State::Unknown) {
            State::Unknown => read(primary, name).await?,
            known => known,
        };
        if let Err(trouble) = write(replica, name, &told).await {
            *state = told;
            return Err(trouble);
        }
        if replica.has_more_of(name) {
            // Its turn comes.
            return Ok(());
        }
        let now = read(primary, name).await?;
        if is_same(&told, &now) || !replica.coalesces && replica.has_more_of(name) {
            return Ok(());
        }
        *state = now;
    }
    replica.add(name, State::Unknown);
    Ok(())
}

fn is_same(told: &State, now: &State) -> bool {
    match (told, now) {
        (State::Is(told), State::Is(now)) => {
            told.version == now.version || told.value.as_json() == now.value.as_json()
        }
        (State::Gone, State::Gone) => true,
        _ => false,
    }
}

async fn read(primary: &dyn Store, name: &str) -> Result<State, Trouble> {
    let found = primary.get(legal(name)?).await.map_err(|error| {
        if error.kind() == ErrorKind::Corrupt {
            Trouble::Never(error)
        } else {
            Trouble::Again(error.map_message(|message| format!("the primary cannot be read: {message}")))
        }
    })?;
    Ok(found.map_or(State::Gone, State::Is))
}

async fn write(replica: &Replica, name: &str, state: &State) -> Result<(), Trouble> {
    let written = match state {
        State::Is(found) => replica.store.put(&found.value, Expect::Any).await.map(drop),
        State::Gone => replica.store.delete(legal(name)?, Expect::Any).await.map(drop),
        State::Unknown => return Ok(()),
    };
    replica.wrote();
    written.map_err(|error| match error.kind() {
        // As long as the record is as it is.
        ErrorKind::InvalidInput | ErrorKind::Unsupported => Trouble::Never(error),
        _ => Trouble::Again(error),
    })
}

/// Names come from stores, so they are legal.
fn legal(name: &str) -> Result<FlagName<'_>, Trouble> {
    FlagName::new(name).map_err(Trouble::Never)
}

/// Says that nothing is told any more, however the task ends.
struct Ended<'r>(&'r Replica);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
