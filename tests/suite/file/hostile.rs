//! What somebody may put in the way, by accident or not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_core::{Change, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Listed, Page, Store};
use flipper_file::FileStore;
use flipper_testkit::{collect, next};

use super::{flag, place, text, until};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn a_flag_as_deep_as_a_record_may_be_can_be_read_again() {
    let (_directory, path) = place();
    let deep = |depth: usize| {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let record = format!(
            r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "client_data": {{"x": {data}}}}}}}"#
        );
        Flag::from_json(record.as_bytes())
    };
    let deepest = (0..250).rev().find_map(|depth| deep(depth).ok()).unwrap();
    let store = FileStore::open(&path).unwrap();
    store.put(&deepest, Expect::Any).await.unwrap();
    let again = FileStore::open(&path).unwrap();
    let found = again.get(FlagName::new("X").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.value.as_json(), deepest.as_json());
}

#[tokio::test]
async fn a_flag_of_many_small_parts_does_not_blow_up_the_file() {
    let (_directory, path) = place();
    let data = format!("{}{}1{}", "[".repeat(150), "1, ".repeat(100_000), "]".repeat(150));
    let record = format!(
        r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "client_data": {{"x": {data}}}}}}}"#
    );
    let store = FileStore::open(&path).unwrap();
    store.put(&Flag::from_json(record.as_bytes()).unwrap(), Expect::Any).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 5 * record.len() as u64);
    let found = store.get(FlagName::new("X").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.value.as_json(), record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_the_file_or_the_lock_is_not_waited_for() {
    let (directory, path) = place();
    let quick = || FileStore::builder(&path).timeout(Duration::from_secs(5)).open();
    let pipe_first = directory.path().join("pipe");
    pipe(&pipe_first);
    assert_eq!(FileStore::open(&pipe_first).unwrap_err().kind(), ErrorKind::InvalidInput);

    let store = quick().unwrap();
    store.put(&flag("X", true), Expect::Any).await.unwrap();
    let lock = directory.path().join(".flags.json.lock");
    let in_the_way: [(&str, &dyn Fn()); 3] = [
        ("a pipe", &|| pipe(&lock)),
        ("a link to nothing", &|| symlink("/nowhere/at/all", &lock).unwrap()),
        ("a directory", &|| fs::create_dir(&lock).unwrap()),
    ];
    for (what, put) in in_the_way {
        let _ = fs::remove_file(&lock);
        put();
        let error = store.put(&flag("X", false), Expect::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
        assert!(error.message().contains("in the way"), "{what}: {error}");
    }
    fs::remove_dir(&lock).unwrap();
    store.put(&flag("X", true), Expect::Any).await.unwrap();

    fs::remove_file(&path).unwrap();
    pipe(&path);
    let error = store.get(FlagName::new("X").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let mut changes = store.watch().unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    assert!(
        matches!(next(&mut changes).await, Some(Change::Down { .. })),
        "whoever comes later is told as well"
    );
    tokio::time::timeout(Duration::from_secs(5), store.close()).await.expect("closing ends").unwrap();
}

#[tokio::test]
async fn a_file_longer_than_memory_is_refused() {
    let (_directory, path) = place();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = FileStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.message().contains("more than 4 GiB"), "{error}");
}

#[tokio::test]
async fn names_that_are_no_text_touch_no_flag_that_looks_like_them() {
    let (_directory, path) = place();
    let alike = "\u{fffd}";
    let with = |bad: &str| text(&[flag(alike, true)]).replacen('{', &format!("{{\"\\ud800\": {bad},"), 1);
    fs::write(&path, with(flag("X", false).as_json())).unwrap();
    let store = FileStore::open(&path).unwrap();
    let is_on = || store.snapshot().unwrap().get(alike).map(|found| found.value.is_switched_on());
    assert_eq!((is_on(), store.snapshot().unwrap().len()), (Some(true), 1));
    let listed = collect(store.list(Page::ALL)).await;
    assert!(matches!(&listed[..], [Ok(Listed::Bad { .. }), Ok(Listed::Flag(_))]), "{listed:?}");
    for change in [with(flag("X", true).as_json()), with("1"), text(&[flag(alike, true)])] {
        fs::write(&path, change).unwrap();
        let found = store.get(FlagName::new(alike).unwrap()).await.unwrap();
        assert!(found.is_some_and(|found| found.value.is_switched_on()));
        assert_eq!(is_on(), Some(true));
    }
    // Its own mistakes, and its own end, are its own.
    fs::write(&path, text(&[flag(alike, true)]).replacen("is_enabled", "x", 1)).unwrap();
    assert!(store.get(FlagName::new(alike).unwrap()).await.is_err());
    assert_eq!(is_on(), Some(true), "its last good state stays in use");
    fs::write(&path, "{}").unwrap();
    assert!(store.get(FlagName::new(alike).unwrap()).await.unwrap().is_none());
    assert_eq!(is_on(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_that_is_cleaned_up_costs_no_write() {
    let (directory, path) = place();
    let lock = directory.path().join(".flags.json.lock");
    let is_over = Arc::new(AtomicBool::new(false));
    let cleaner = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&lock);
                std::thread::sleep(Duration::from_millis(fastrand::u64(5..25)));
            }
        })
    };
    let writers = (0..3).map(|writer| {
        let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
        tokio::spawn(async move {
            for number in 0..50 {
                client.create(&format!("W{writer}N{number}")).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    cleaner.join().unwrap();
    assert_eq!(FileStore::open(&path).unwrap().snapshot().unwrap().len(), 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_changed_during_a_write_does_not_lose_it() {
    let (directory, path) = place();
    for version in ["v1", "v2"] {
        fs::create_dir(directory.path().join(version)).unwrap();
        fs::write(directory.path().join(version).join("flags.json"), text(&[flag(version, true)])).unwrap();
    }
    let data = directory.path().join("data");
    symlink("v1", &data).unwrap();
    symlink("data/flags.json", &path).unwrap();
    let store = Arc::new(FileStore::open(&path).unwrap());
    let mut followed = 0;
    for number in 0..40 {
        let name = format!("N{number}");
        let put = {
            let (store, flag) = (Arc::clone(&store), flag(&name, true));
            tokio::spawn(async move { store.put(&flag, Expect::Any).await })
        };
        let from = fs::read_link(&data).unwrap();
        let half_written = directory.path().join(&from).join(".flags.json.new");
        while !half_written.exists() && !put.is_finished() {
            std::hint::spin_loop();
        }
        let to = if from == Path::new("v1") { "v2" } else { "v1" };
        let new = directory.path().join("new");
        symlink(to, &new).unwrap();
        fs::rename(new, &data).unwrap();
        put.await.unwrap().unwrap();
        // It is in the new one or, if it had happened before the change, in the old one.
        let is_in = |version: &Path| {
            let text = fs::read_to_string(directory.path().join(version).join("flags.json")).unwrap();
            text.contains(&format!("\"{name}\""))
        };
        assert!(is_in(&from) || is_in(Path::new(to)), "{name} is lost");
        followed += u32::from(is_in(Path::new(to)));
    }
    assert!(followed > 20, "only {followed} of 40 writes went where the link led by then");
}

#[tokio::test]
async fn paths_that_name_no_file_are_refused_and_relative_ones_stay_where_they_are() {
    let (directory, path) = place();
    let long = directory.path().join("x".repeat(250));
    for wrong in
        [Path::new(""), Path::new(".."), Path::new("/"), &directory.path().join("flags.json/"), &long]
    {
        let error = FileStore::open(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", wrong.display());
    }
    let relative = FileStore::open("not-there/flags.json").unwrap();
    assert!(relative.path().is_absolute());
    // As long as there is.
    let patient = FileStore::builder(&path).timeout(Duration::MAX).open().unwrap();
    patient.put(&flag("X", true), Expect::Any).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_made_again_is_followed_again() {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("flags");
    let path = directory.join("flags.json");
    fs::create_dir(&directory).unwrap();
    fs::write(&path, text(&[flag("X", false)])).unwrap();
    let store = FileStore::open(&path).unwrap();
    let is_on = || store.snapshot().unwrap().get("X").is_some_and(|found| found.value.is_switched_on());
    for round in 0..4 {
        fs::remove_dir_all(&directory).unwrap();
        // Quickly, so that its number may be the same.
        fs::create_dir(&directory).unwrap();
        fs::write(&path, text(&[flag("X", round % 2 == 0)])).unwrap();
        until("the file in the new directory", || is_on() == (round % 2 == 0)).await;
    }
}
