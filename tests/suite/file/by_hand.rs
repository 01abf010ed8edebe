//! People and editors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_core::{
    Change, Context, ErrorKind, Expect, FeatureFlagClient, FlagName, Freshness, Listed, Page, StaleCause,
    Store,
};
use flipper_file::FileStore;
use flipper_testkit::{collect, next};

use super::{flag, place, text, until};

const X: &str = "X";

fn x() -> FlagName<'static> {
    FlagName::new(X).unwrap()
}

#[tokio::test]
async fn an_edit_by_whatever_dance_is_taken_over_without_being_asked() {
    let (directory, path) = place();
    std::fs::write(&path, text(&[flag(X, false)])).unwrap();
    // Looking at the file by itself would come too late.
    let slow = FileStore::builder(&path).poll_interval(Duration::from_hours(1)).open().unwrap();
    let polling =
        FileStore::builder(&path).poll_only().poll_interval(Duration::from_millis(20)).open().unwrap();
    let aside = directory.path().join("flags.json~");
    let write_in_place = |text: &str| std::fs::write(&path, text).unwrap();
    let rename_over = |text: &str| {
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    };
    let back_up_first = |text: &str| {
        std::fs::rename(&path, &aside).unwrap();
        std::fs::write(&path, text).unwrap();
    };
    let dances: [&dyn Fn(&str); 3] = [&write_in_place, &rename_over, &back_up_first];
    for store in [slow, polling] {
        let local = FeatureFlagClient::new(store).local().unwrap();
        let mut is_on = local.is_enabled(X, &Context::EMPTY);
        for dance in dances.into_iter().cycle().take(9) {
            is_on = !is_on;
            dance(&text(&[flag(X, is_on)]));
            until("the edit", || local.is_enabled(X, &Context::EMPTY) == is_on).await;
            assert_eq!(local.freshness(), Freshness::Live);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_touched_or_laid_out_anew_tells_nothing() {
    let (_directory, path) = place();
    let store = FileStore::open(&path).unwrap();
    store.put(&flag(X, true), Expect::Any).await.unwrap();
    let mut changes = store.watch().unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &written).unwrap();
    std::fs::write(&path, written.replace("\n  ", "\n\t\t")).unwrap();
    store.get(x()).await.unwrap().expect("the flag");
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The first thing that is told is what has changed.
    store.put(&flag("Y", true), Expect::Any).await.unwrap();
    match next(&mut changes).await {
        Some(Change::Put(found)) => assert_eq!(found.value.name(), "Y"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mistake_keeps_the_last_good_state_and_is_told_with_its_place() {
    let (_directory, path) = place();
    let good = text(&[flag(X, true), flag("Y", false)]);
    std::fs::write(&path, &good).unwrap();
    let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
    let (local, store) = (client.local().unwrap(), client.store().clone());
    let mut changes = store.watch().unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    for (broken, place) in [
        (good.replacen("\"is_enabled\": true", "\"is_enabled\": tru", 1), "line 2, column 42"),
        (good.replacen("},\n", "}\n", 1), "line 3, column 1"),
        (
            good.replacen("\"Y\"", "\"X\"", 1),
            "\"X\" stands twice, at line 2, column 6 and at line 3, column 6",
        ),
        (String::new(), "the file has nothing in it"),
        ("[]".to_owned(), "a JSON object is expected"),
    ] {
        std::fs::write(&path, &broken).unwrap();
        match next(&mut changes).await {
            Some(Change::Down { error }) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.message().contains(place), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert!(local.is_enabled(X, &Context::EMPTY), "the last good state stays in use");
        assert!(matches!(local.freshness(), Freshness::Stale { cause: StaleCause::Corrupt, .. }));
        for error in [
            store.get(x()).await.map(drop).unwrap_err(),
            store.put(&flag("Z", true), Expect::Any).await.map(drop).unwrap_err(),
            store.delete(x(), Expect::Any).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains(place), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken, "what somebody is writing is left alone");
        std::fs::write(&path, &good).unwrap();
        assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
        assert_eq!(local.freshness(), Freshness::Live);
    }
}

#[tokio::test]
async fn a_mistake_in_one_flag_is_that_flags() {
    let (_directory, path) = place();
    let good = text(&[flag(X, true), flag("Y", false)]);
    std::fs::write(&path, &good).unwrap();
    let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
    let (local, store) = (client.local().unwrap(), client.store().clone());
    let broken = good.replacen("\"is_enabled\": true", "\"is_enabld\": true", 1);
    std::fs::write(&path, broken.replacen("\"is_enabled\": false", "\"is_enabled\": true", 1)).unwrap();
    until("the edit of Y", || local.is_enabled("Y", &Context::EMPTY)).await;
    assert!(local.is_enabled(X, &Context::EMPTY), "its last good state stays in use");
    let freshness = local.evaluate(X, &Context::EMPTY, false).freshness;
    assert!(matches!(freshness, Freshness::Stale { cause: StaleCause::Corrupt, .. }), "{freshness:?}");
    let error = store.get(x()).await.unwrap_err();
    assert!(
        error.to_string().contains("\"X\": corrupt record: line 2, column 6: `is_enabled` is missing"),
        "{error}"
    );
    let listed = collect(store.list(Page::ALL)).await;
    assert!(matches!(&listed[..], [Ok(Listed::Bad { name, .. }), Ok(Listed::Flag(_))] if **name == *X));
    // It can be replaced where it was seen, and the others stay as they are.
    let version = error.version().cloned().unwrap();
    store.put(&flag(X, false), Expect::Matches(&version)).await.unwrap();
    assert!(!local.is_enabled(X, &Context::EMPTY) && local.is_enabled("Y", &Context::EMPTY));
}

#[tokio::test]
async fn a_file_that_goes_takes_no_flags_with_it() {
    let (_directory, path) = place();
    let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
    let local = client.local().unwrap();
    client.create(X).await.unwrap().enable().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    until("notice of it", || local.freshness() != Freshness::Live).await;
    assert!(local.is_enabled(X, &Context::EMPTY));
    let error = client.create("Y").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("write `{}` into it"), "{error}");
    assert!(!path.exists());
    // On purpose.
    std::fs::write(&path, "{}").unwrap();
    until("the empty file", || local.freshness() == Freshness::Live).await;
    assert!(!local.is_enabled(X, &Context::EMPTY));
    client.create("Y").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_edited_by_hand_while_it_is_written_stays_whole() {
    let (_directory, path) = place();
    std::fs::write(&path, text(&[flag("HAND", false), flag(X, false)])).unwrap();
    let store = Arc::new(FileStore::open(&path).unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let hand = {
        let (path, is_over) = (path.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut saved = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Reads, takes its time, and saves in place: for a moment, the file is empty.
                let text = std::fs::read_to_string(&path).unwrap();
                std::thread::sleep(Duration::from_millis(5));
                let is_on = saved % 2 == 0;
                let name = "\"feature_name\": \"HAND\",";
                let at = text.find(name).expect("every state is whole") + name.len();
                let (before, after) = text.split_at(at);
                let (from, to) = if is_on { ("false", "true") } else { ("true", "false") };
                std::fs::write(&path, format!("{before}{}", after.replacen(from, to, 1))).unwrap();
                saved += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            saved
        })
    };
    for number in 0..200 {
        // Refused while it cannot be read, and never made of half a file.
        match store.put(&flag(X, number % 2 == 0), Expect::Any).await {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unavailable), "{error}");
            }
        }
        assert!(store.snapshot().unwrap().get("HAND").is_some());
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(hand.join().unwrap() > 5, "the hand was too slow to be in the way");
    let last = FileStore::open(&path).unwrap();
    let agree = || {
        ["HAND", X].iter().all(|name| {
            let of = |store: &FileStore| store.snapshot().unwrap().get(name).map(|found| found.value.clone());
            of(&last).is_some() && of(&last) == of(&store)
        })
    };
    until("agreement", agree).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_editor_saves_at_the_last_moment_is_not_undone() {
    let (directory, path) = place();
    let save = |number: u32| {
        let new = directory.path().join("new");
        std::fs::write(&new, text(&[flag(&format!("SAVED{number}"), true)])).unwrap();
        std::fs::rename(new, &path).unwrap();
    };
    save(0);
    let store = FileStore::open(&path).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let is_over = Arc::clone(&is_over);
        // Without a runtime in between, to meet the saves as often as can be.
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                futures_lite::future::block_on(store.put(&flag(X, true), Expect::Any)).unwrap();
            }
        })
    };
    for number in 1..800 {
        save(number);
        std::thread::sleep(Duration::from_micros(fastrand::u64(2_000..7_000)));
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains(&format!("SAVED{number}\"")) {
            // It may be on its way back into its place.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(&format!("SAVED{number}\"")), "save {number} was undone: {text}");
        }
    }
    is_over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}
