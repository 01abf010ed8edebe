//! Following what others write to the primary.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Change, Store};
use futures_lite::{FutureExt, StreamExt};
use tokio::time::sleep;

use crate::queue::State;
use crate::replica::Replica;

/// How long to wait before a watch that has ended is begun anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Has the replicas told what the primary's watch tells.
pub(crate) async fn follow(primary: Arc<dyn Store>, replicas: Vec<Arc<Replica>>) {
    // What is told may be older than what is there: it is read.
    let add = |name: &str| {
        for replica in replicas.iter().filter(|replica| replica.coalesces) {
            replica.add(name, State::Unknown);
        }
    };
    loop {
        let round = async {
            let Some(mut changes) = primary.watch() else { return };
            while let Some(change) = changes.next().await {
                match change {
                    // Also the first one: what has changed while nobody followed is not known.
                    Change::Resync { .. } => {
                        for replica in replicas.iter().filter(|replica| replica.coalesces) {
                            replica.add_everything();
                        }
                    }
                    Change::Put(found) => add(found.value.name()),
                    Change::Touched { name } | Change::Deleted { name, .. } => add(&name),
                    // A record that cannot be read, or a primary that cannot be followed: the replicas keep what they have.
                    _ => {}
                }
            }
        };
        if AssertUnwindSafe(round).catch_unwind().await.is_err() {
            log::error!(target: "flipper::replicated", "the primary's watch has panicked: it is begun anew");
        }
        sleep(AGAIN).await;
    }
}
