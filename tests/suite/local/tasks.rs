//! Tasks that move between threads read what they have written.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context as Task, Poll, Waker};

use flipper_core::{Context, FeatureFlagClient, LocalClient, LocalFlag};
use flipper_memory::MemoryStore;
use tokio::task::yield_now;

const TASKS: usize = 8;
const ROUNDS: usize = 500;

fn name(task: usize) -> String {
    format!("F{task}")
}

/// Writes its own flag again and again, and checks it after each write, and others' in between. Returns on how many
/// threads it has been.
async fn write_and_check(local: LocalClient, handles: Arc<Vec<LocalFlag>>, task: usize) -> usize {
    let (client, name) = (local.client().clone(), name(task));
    let mut threads = HashSet::new();
    client.create(&name).await.unwrap();
    for round in 0..ROUNDS {
        let expected = match round % 3 {
            0 => client.enable(&name).await.map(|()| true),
            1 => client.disable(&name).await.map(|()| false),
            _ => client.create_or_replace(&name, true, &serde_json::Map::new()).await.map(|_| true),
        };
        let expected = expected.unwrap();
        for step in 0..6 {
            yield_now().await;
            threads.insert(std::thread::current().id());
            let seen = match (round + step) % 3 {
                0 => local.is_enabled(&name, &Context::EMPTY),
                1 => handles[task].is_enabled(&Context::EMPTY),
                _ => client.is_enabled(&name, &Context::EMPTY).await,
            };
            assert_eq!(seen, expected, "task {task}, round {round}, step {step}");
            // The handles are shared: others' checks must not make this one's old again.
            handles[(task + step) % TASKS].is_enabled(&Context::EMPTY);
        }
    }
    client.destroy(&name).await.unwrap();
    yield_now().await;
    assert!(handles[task].is_enabled_or(&Context::EMPTY, true), "it is gone");
    assert!(!handles[task].is_enabled_or(&Context::EMPTY, false), "it is gone");
    threads.len()
}

fn client_and_handles() -> (LocalClient, Arc<Vec<LocalFlag>>) {
    let local = FeatureFlagClient::new(MemoryStore::new()).local().unwrap();
    let handles = (0..TASKS).map(|task| local.flag(name(task))).collect();
    (local, Arc::new(handles))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_of_a_runtime_read_their_own_writes() {
    let (local, handles) = client_and_handles();
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(write_and_check(local.clone(), handles.clone(), task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn tasks_that_change_the_thread_at_every_wait_read_their_own_writes() {
    type Moving = (usize, Pin<Box<dyn Future<Output = usize> + Send>>);
    let (local, handles) = client_and_handles();
    let (back, here) = mpsc::channel::<Moving>();
    let (away, there) = mpsc::channel::<Moving>();
    for task in 0..TASKS {
        back.send((task, Box::pin(write_and_check(local.clone(), handles.clone(), task)))).unwrap();
    }
    // Each polls once what it gets, and passes it on.
    let poll_all = |from: mpsc::Receiver<Moving>, to: mpsc::Sender<Moving>| {
        let mut ended = 0;
        for (task, mut future) in from {
            match future.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
                Poll::Ready(threads) => {
                    assert_eq!(threads, 2, "task {task} has moved");
                    ended += 1;
                }
                // Once the other has nothing left to wait for, it is no longer there.
                Poll::Pending => to.send((task, future)).unwrap(),
            }
            if ended == TASKS {
                break;
            }
        }
        ended
    };
    // `yield_now` needs a runtime to wake it; what is polled all the time does not.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let other = std::thread::spawn(move || poll_all(there, back));
    let ended = poll_all(here, away);
    assert_eq!(ended + other.join().unwrap(), TASKS);
}
