//! Telling a replica: the task that does it, and how one flag is told.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, FlagName, Store};
use flipper_follow::Backoff;
use futures_lite::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::compare::{Extra, repair};
use crate::queue::{Entry, Job, State};
use crate::replica::Replica;

/// How often a flag that changes all the time is told before others have their turn.
const ROUNDS: usize = 4;

/// How often a flag is tried before others have their turn.
const TRIES: u32 = 3;

/// Why something was not told.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The replica, or the primary, cannot be reached: all is tried again, in its order.
    Again(Error),
    /// It is about this flag, or may be: others have their turn first, and then it is tried again.
    Later(Error),
    /// It is not tried again.
    Never(Error),
}

/// Starts a task that tells a replica what it has to be told, for as long as it takes.
pub(crate) fn start(primary: Arc<dyn Store>, replica: &Arc<Replica>, linger: Duration) -> JoinHandle<()> {
    replica.set_ended(false);
    // Made here, as a task that has never run has to say that it has ended, too.
    let ended = Ended(Arc::clone(replica));
    tokio::spawn(async move {
        run(&*primary, &ended.0, linger).await;
    })
}

async fn run(primary: &dyn Store, replica: &Replica, linger: Duration) {
    let mut backoff = Backoff::default();
    // What comes while others are told waits for the next turn, so that what changes all the time is told now and then.
    let mut before = 0;
    // At the beginning of a turn, so that flags have theirs however often everything is compared.
    let mut compares = true;
    loop {
        let job = replica.begin(before, compares);
        compares = false;
        let Some(mut job) = job else {
            while replica.next().is_none() {
                replica.wanted.notified().await;
            }
            linger_for(replica, linger).await;
            before = replica.next().unwrap_or_default();
            compares = true;
            continue;
        };
        let told = AssertUnwindSafe(carry_out(primary, replica, &mut job)).catch_unwind();
        let told = watched(replica, told).await.unwrap_or_else(|_| {
            let message = "a store has panicked";
            Err(Trouble::Later(Error::new(ErrorKind::Internal, message)))
        });
        let wait = match told {
            Ok(()) => {
                backoff.reset();
                replica.succeeded(&job);
                continue;
            }
            Err(Trouble::Never(error)) => {
                replica.refused(&job, &error);
                continue;
            }
            // In order, a state cannot wait for later ones.
            Err(Trouble::Later(error)) if !replica.coalesces || matches!(job, Job::Everything) => {
                replica.refused(&job, &error);
                backoff.next_wait()
            }
            Err(Trouble::Later(error)) => {
                replica.failed(job, &error, true);
                backoff.next_wait()
            }
            Err(Trouble::Again(error)) => {
                // It may be about this flag after all.
                let mut is_last = false;
                if let Job::Flag(entry) = &mut job {
                    entry.failures += 1;
                    is_last = replica.coalesces && entry.failures.is_multiple_of(TRIES);
                }
                replica.failed(job, &error, is_last);
                backoff.next_wait()
            }
        };
        watched(replica, sleep(wait)).await;
    }
}

/// Waits for what changes again within a moment, so that it is told once; unless somebody waits for it to be told.
async fn linger_for(replica: &Replica, linger: Duration) {
    let hurried = replica.hurried.notified();
    tokio::pin!(hurried);
    hurried.as_mut().enable();
    if !replica.is_awaited() {
        tokio::select! {
            () = sleep(linger) => {}
            () = hurried => {}
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
        Job::Everything => repair(primary, replica, Extra::KeptIfInDoubt).await.map(drop),
        Job::Flag(entry) => tell(primary, replica, entry).await,
    }
}

/// Tells the state of a flag, and after that whatever the primary has, until it has nothing else: of two processes that tell the same replica, the one
/// that is the last to write has also read the primary after that.
///
/// What was told is remembered as it goes, so that nothing is told twice if this begins anew.
async fn tell(primary: &dyn Store, replica: &Replica, entry: &mut Entry) -> Result<(), Trouble> {
    let name = &*entry.name;
    for _ in 0..ROUNDS {
        let state = match std::mem::replace(&mut entry.state, State::Unknown) {
            // Where every state is told, the others have their turn.
            State::Unknown if !replica.coalesces && replica.has_more_of(name) => return Ok(()),
            State::Unknown => read(primary, name).await?,
            known => known,
        };
        if !entry.told.as_ref().is_some_and(|told| is_same(told, &state)) {
            if let Err(trouble) = write(replica, name, &state).await {
                entry.state = state;
                return Err(trouble);
            }
            entry.told = Some(state.clone());
        }
        if replica.is_queued(name) {
            // Its turn comes.
            return Ok(());
        }
        let now = read(primary, name).await?;
        if is_same(&state, &now) || !replica.coalesces && replica.has_more_of(name) {
            return Ok(());
        }
        entry.state = now;
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
            return Trouble::Never(error);
        }
        let is_retryable = error.is_retryable();
        let error = error.map_message(|message| format!("the primary cannot be read: {message}"));
        if is_retryable { Trouble::Again(error) } else { Trouble::Later(error) }
    })?;
    Ok(found.map_or(State::Gone, State::Is))
}

async fn write(replica: &Replica, name: &str, state: &State) -> Result<(), Trouble> {
    let written = match state {
        State::Is(found) => replica.store.put(&found.value, Expect::Any).await.map(drop),
        State::Gone => replica.store.delete(legal(name)?, Expect::Any).await.map(drop),
        State::Unknown => return Ok(()),
    };
    match written {
        Ok(()) => {
            replica.wrote(None);
            Ok(())
        }
        // It stands, in the replica's own words.
        Err(error) if error.kind() == ErrorKind::NotReplicated => {
            replica.wrote(Some(error));
            Ok(())
        }
        // As long as the record is as it is.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Err(Trouble::Never(error))
        }
        Err(error) if error.is_retryable() || error.kind() == ErrorKind::OutcomeUnknown => {
            Err(Trouble::Again(error))
        }
        Err(error) => Err(Trouble::Later(error)),
    }
}

/// Names come from stores, so they are legal.
fn legal(name: &str) -> Result<FlagName<'_>, Trouble> {
    FlagName::new(name).map_err(Trouble::Never)
}

/// Says that nothing is told any more, however the task ends.
struct Ended(Arc<Replica>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_ended(true);
    }
}
