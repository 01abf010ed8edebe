//! Several processes, some of which are killed.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use flipper_core::{Expect, FeatureFlagClient, FlagName, Store};
use flipper_file::FileStore;

use super::{counted, editor, flag, place};

#[tokio::test(flavor = "multi_thread")]
async fn of_the_edits_of_eight_processes_none_is_lost() {
    const EDITS: u64 = 500;
    let (_directory, path) = place();
    let names: Vec<_> = (0..8).map(|at| format!("p{at}")).collect();
    // All count in one flag: half of them in a counter of their own, half in a common one.
    let counters = names.iter().enumerate().map(|(at, own)| if at % 2 == 0 { own } else { "all" });
    let editors: Vec<_> =
        counters.map(|counter| editor(&path, "X", counter, &EDITS.to_string()).spawn().unwrap()).collect();
    for editor in editors {
        let output = editor.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    for own in names.iter().step_by(2) {
        assert_eq!(counted(&path, "X", own).await, EDITS, "{own}");
    }
    assert_eq!(counted(&path, "X", "all").await, 4 * EDITS);
}

/// How often a writer is killed; `scripts/soak` asks for more.
fn kills() -> u64 {
    std::env::var("FLIPPER_FILE_KILLS").map_or(50, |kills| kills.parse().expect("a number of kills"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_killed_leaves_a_whole_file_and_all_it_has_told() {
    let (_directory, path) = place();
    let follower = FileStore::open(&path).unwrap();
    let mut random = fastrand::Rng::new();
    let mut told = 0;
    for round in 0..kills() {
        // In front of the counter, so that the file is long enough to be caught half written.
        let filler = flag(&format!("A{}", round % 200), true);
        follower.put(&filler, Expect::Any).await.unwrap();
        let mut editor = editor(&path, "X", "n", "forever").spawn().unwrap();
        let mut lines = BufReader::new(editor.stdout.take().unwrap()).lines();
        let first = lines.next().expect("an edit").unwrap();
        assert!(first.parse::<u64>().is_ok(), "{first}");
        std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        editor.kill().unwrap();
        editor.wait().unwrap();
        let last = lines.map_while(Result::ok).last().unwrap_or(first);
        let last: u64 = last.parse().expect("a whole line");
        // The file is whole: it is read again from nothing.
        let now = counted(&path, "X", "n").await;
        assert!(last > told && (last..=last + 1).contains(&now), "told {last}, found {now}");
        told = now;
    }
    let found = follower.get(FlagName::new("A0").unwrap()).await.unwrap();
    assert!(found.is_some_and(|found| found.value.is_switched_on()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_in_one_directory_do_not_meet() {
    let (directory, path) = place();
    let other = directory.path().join("other.json");
    let (one, two) = (FileStore::open(&path).unwrap(), FileStore::open(&other).unwrap());
    let (one, two) = (FeatureFlagClient::new(one), FeatureFlagClient::new(two));
    for round in 0..20 {
        let (a, b) = (format!("A{round}"), format!("B{round}"));
        let (first, second) = tokio::join!(one.create(&a), two.create(&b));
        first.unwrap();
        second.unwrap();
    }
    for (client, mine, others) in [(&one, "A3", "B3"), (&two, "B3", "A3")] {
        assert!(client.exists(mine).await.unwrap() && !client.exists(others).await.unwrap());
    }
    let beside: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 4, "two files and their locks: {beside:?}");
}
