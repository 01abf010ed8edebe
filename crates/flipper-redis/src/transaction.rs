//! Compare and set where scripts are denied.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result, Version};
use redis::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::dial::Dialer;
use crate::error::{Asked, error, of_driver};
use crate::link::Link;
use crate::record::{bytes, unexpected};
use crate::wire::Live;
use crate::write::{Edit, Outcome, Replicas, confirmed, odd};

/// Watches a key, reads it, and writes it unless somebody else does in between. On a connection of its own, since whatever is
/// sent there meanwhile becomes a part of the transaction; one after the other.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) link: Link,
    turn: Mutex<()>,
    replicas: Option<Replicas>,
    timeout: Duration,
}

impl Transactions {
    pub(crate) fn new(dialer: &Arc<Dialer>, replicas: Option<Replicas>) -> Self {
        let link = Link::new(Arc::clone(dialer));
        Self { link, turn: Mutex::default(), replicas, timeout: dialer.timeout }
    }

    /// Writes a key if it holds what is expected.
    ///
    /// It goes on in the background if nobody waits for it any longer: half a transaction would be in the way of the next one.
    pub(crate) async fn write(
        self: &Arc<Self>,
        key: &str,
        edit: Edit<'_>,
        expected: &Version,
        asks: bool,
    ) -> Result<Outcome> {
        let (ours, key, expected) = (Arc::clone(self), key.to_owned(), expected.clone());
        let record = match edit {
            Edit::Put(record) => Some(record.to_owned()),
            Edit::Delete => None,
        };
        let written = tokio::spawn(async move {
            let edit = record.as_deref().map_or(Edit::Delete, Edit::Put);
            ours.write_in_turn(&key, edit, expected.as_bytes().unwrap_or_default(), asks).await
        });
        written.await.unwrap_or_else(|_| {
            Err(error(ErrorKind::OutcomeUnknown, "the runtime was shut down in the middle of the write"))
        })
    }

    async fn write_in_turn(&self, key: &str, edit: Edit<'_>, expected: &[u8], asks: bool) -> Result<Outcome> {
        // The one before may wait for replicas as well.
        let patience =
            self.timeout.saturating_add(self.replicas.map_or(Duration::ZERO, |replicas| replicas.limit));
        let deadline = Instant::now() + patience;
        let late = || error(ErrorKind::Unavailable, "other writers have taken too long");
        let _turn = timeout(patience, self.turn.lock()).await.map_err(|_| late())?;
        loop {
            let live = self.link.live().await?.asking(asks);
            match attempt(&live, key, edit, expected).await? {
                Some(outcome) => return confirmed(live, self.replicas, outcome).await,
                None if Instant::now() >= deadline => return Err(late()),
                // Somebody has written since. If it was the same again, it still matches.
                None => {}
            }
        }
    }
}

/// Attempts it once; `None` if somebody else has written in between.
async fn attempt(live: &Live, key: &str, edit: Edit<'_>, expected: &[u8]) -> Result<Option<Outcome>> {
    match begin(live, key, expected).await {
        Ok(None) => {}
        ended => {
            leave(live).await;
            return ended;
        }
    }
    let mut write = redis::pipe();
    write.add_command(edit.command(key)).cmd("EXEC");
    let answers = live.send_as_they_are(&write).await.map_err(|failure| of_driver(&failure, Asked::Write))?;
    // From here on there is no transaction any longer, whatever it has come to.
    let refused = |answer: &Value| match answer {
        Value::ServerError(failure) => Some(of_driver(&failure.clone().into(), Asked::Write)),
        _ => None,
    };
    // Of a write that is refused, `EXEC` says only that there was one.
    if let Some(error) = answers.iter().find_map(refused) {
        return Err::<_, Error>(error);
    }
    match answers.into_iter().nth(1) {
        Some(Value::Nil) => Ok(None),
        Some(Value::Array(done)) => match done.iter().find_map(refused) {
            Some(error) => Err(error),
            None => Ok(Some(Outcome::Done)),
        },
        _ => Err(odd()),
    }
}

/// Begins a transaction, unless the outcome is known already.
async fn begin(live: &Live, key: &str, expected: &[u8]) -> Result<Option<Outcome>> {
    let mut look = redis::pipe();
    look.cmd("WATCH").arg(key).cmd("GET").arg(key).cmd("MULTI");
    let answers = live.send_all(&look).await.map_err(|failure| of_driver(&failure, Asked::Read))?;
    let Ok([watched, stored, begun]) = <[Value; 3]>::try_from(answers) else { return Err(unexpected()) };
    // Without both, the write would not be held back if somebody else has written.
    for answer in [watched, begun] {
        if answer.extract_error().map_err(|failure| of_driver(&failure, Asked::Read))? != Value::Okay {
            return Err(unexpected());
        }
    }
    match stored {
        Value::Nil => Ok(Some(Outcome::Missing)),
        stored => match bytes(stored) {
            Ok(stored) if stored == expected => Ok(None),
            Ok(_) => Ok(Some(Outcome::Differs)),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(Outcome::Differs)),
            Err(error) => Err(error),
        },
    }
}

/// Ends what was begun. A connection of which that is not certain is not used again.
async fn leave(live: &Live) {
    let mut undo = redis::pipe();
    undo.cmd("DISCARD").cmd("UNWATCH");
    let is_out = match live.send_all(&undo).await.ok().and_then(|answers| answers.into_iter().next()) {
        Some(Value::Okay) => true,
        Some(Value::ServerError(failure)) => {
            failure.details().is_some_and(|detail| detail.contains("without MULTI"))
        }
        _ => false,
    };
    if !is_out {
        live.traits.lose();
    }
}
