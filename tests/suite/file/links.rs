//! Symbolic links.

use std::os::unix::fs::symlink;

use flipper_core::{Context, Expect, FeatureFlagClient, Freshness, Store};
use flipper_file::FileStore;

use super::{flag, place, text, until};

#[tokio::test]
async fn what_a_link_leads_to_is_replaced_and_the_link_stays() {
    let (directory, path) = place();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.json");
    // Before there is a file, and through a second link that is relative to the first one's directory.
    symlink("second", &path).unwrap();
    symlink(&real, directory.path().join("second")).unwrap();
    let store = FileStore::open(&path).unwrap();
    for is_on in [true, false] {
        store.put(&flag("X", is_on), Expect::Any).await.unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
        assert!(std::fs::symlink_metadata(&real).unwrap().is_file());
    }
    // Whoever writes it by its own name takes part in everything.
    let by_name = FileStore::builder(&real).poll_interval(std::time::Duration::from_hours(1)).open().unwrap();
    by_name.put(&flag("X", true), Expect::Any).await.unwrap();
    let local = FeatureFlagClient::new(store).local().unwrap();
    until("the other's write", || local.is_enabled("X", &Context::EMPTY)).await;
}

#[tokio::test]
async fn a_link_that_is_changed_is_followed() {
    // As a volume of a Kubernetes config map is updated: the file is a link into a directory that is a link itself.
    let (directory, path) = place();
    let version = |number: u32, is_on: bool| {
        let version = directory.path().join(format!("..version{number}"));
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("flags.json"), text(&[flag("X", is_on)])).unwrap();
        let new = directory.path().join("..data_new");
        symlink(version.file_name().unwrap(), &new).unwrap();
        std::fs::rename(&new, directory.path().join("..data")).unwrap();
    };
    version(0, false);
    symlink("..data/flags.json", &path).unwrap();
    let store = FileStore::builder(&path).poll_interval(std::time::Duration::from_hours(1)).open().unwrap();
    let local = FeatureFlagClient::new(store).local().unwrap();
    for number in 1..6 {
        let is_on = number % 2 == 1;
        version(number, is_on);
        until("the new version", || local.is_enabled("X", &Context::EMPTY) == is_on).await;
        std::fs::remove_dir_all(directory.path().join(format!("..version{}", number - 1))).unwrap();
        assert_eq!(local.freshness(), Freshness::Live);
    }
}
