//! Edits that say which they are, and how often each is there in the end: in a storm, whatever was told to be done is there once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flipper_core::{Condition, ErrorKind, FeatureFlagClient, Result, Store};
use tokio::task::JoinSet;

use crate::records::name;

/// The flag that they edit, which has to be there.
pub(crate) const EDITED: &str = "X";

/// Editors of one flag.
pub(crate) struct Editors {
    tasks: JoinSet<(usize, Vec<Result<()>>)>,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Editors {
    /// Starts eight, each of which takes its clients in turn.
    pub(crate) fn start(clients: impl Fn() -> Vec<FeatureFlagClient>) -> Self {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for editor in 0..8 {
            let (is_over, all_done, clients) = (Arc::clone(&is_over), Arc::clone(&done), clients());
            tasks.spawn(async move {
                let mut edits = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let number = edits.len();
                    let condition =
                        Condition::builder().eq("edit", format!("{editor}-{number}")).build().unwrap();
                    let done = clients[number % clients.len()].add_condition(EDITED, &condition).await;
                    all_done.fetch_add(usize::from(done.is_ok()), Ordering::Relaxed);
                    edits.push(done);
                }
                (editor, edits)
            });
        }
        Self { tasks, is_over, done }
    }

    /// How many edits were told to be done so far.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends them, and compares what they were told with what is there.
    pub(crate) async fn end(self, truth: &impl Store) {
        self.is_over.store(true, Ordering::Relaxed);
        let edits = self.tasks.join_all().await;
        let flag = truth.get(name(EDITED)).await.unwrap().unwrap().value;
        let stored = flag.as_json();
        let mut counts = [0; 3];
        for (editor, edits) in &edits {
            for (number, done) in edits.iter().enumerate() {
                let times = stored.matches(&format!("\"{editor}-{number}\"")).count();
                let told = match done {
                    Ok(()) => {
                        assert_eq!(times, 1, "{editor}-{number} was done");
                        0
                    }
                    Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                        assert!(times <= 1, "{editor}-{number}");
                        1
                    }
                    Err(error) => {
                        assert_eq!(times, 0, "{editor}-{number} was not done: {error:?}");
                        2
                    }
                };
                counts[told] += 1;
            }
        }
        assert!(counts[0] > 20, "{counts:?}");
        println!("{} edits done, {} unknown, {} not done", counts[0], counts[1], counts[2]);
    }
}
