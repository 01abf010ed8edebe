//! Disks that are full or read-only, modes, and sizes.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use flipper_core::{Context, ErrorKind, Expect, FeatureFlagClient, FlagName, Freshness, Store};
use flipper_file::FileStore;

use super::{editor, flag, place, text};

/// Runs the editor on a file system of its own of 64 KiB, after some preparation in it.
fn on_small_disk(prepare: &str, edits: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let editor = editor(&directory.path().join("flags.json"), "X", "n", edits);
    let mount = format!(
        "mount -t tmpfs -o size=64k tmpfs {0} && cd {0} && {prepare} && {{ \"$@\"; cat flags.json; ls -A; }}",
        directory.path().display()
    );
    // In namespaces of its own, which end with it; that needs no rights where users may make them.
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &mount, "sh"]).arg(editor.get_program());
    let output = command.args(editor.get_args()).output().expect("`unshare` of util-linux runs");
    assert!(
        output.status.success(),
        "this test needs user namespaces, or root (sysctl kernel.unprivileged_userns_clone): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_full_disk_is_told_and_leaves_the_file_as_it_was() {
    // Room for the file, the lock, and not for another copy.
    let fill = "printf '{\"Y\": {\"feature_name\": \"Y\", \"is_enabled\": true, \"meta\": {\"created_date\": 1, \"x\": \"' \
                >flags.json && head -c 40000 /dev/zero | tr '\\0' x >>flags.json && printf '\"}}}' >>flags.json";
    let printed = on_small_disk(fill, "1");
    assert!(printed.starts_with("Unavailable: file: create \"X\""), "{}", &printed[..200]);
    assert!(printed.contains("No space left on device"), "{}", &printed[..200]);
    assert!(printed.contains("xxx\"}}}") && !printed.contains("\"X\": {"), "the file has changed");
    assert!(printed.ends_with(".flags.json.lock\nflags.json\n"), "the half written copy is left");
}

#[test]
fn a_read_only_directory_is_told() {
    let printed = on_small_disk("echo '{}' >flags.json && mount -o remount,ro .", "1");
    assert!(printed.starts_with("PermissionDenied: file: create \"X\""), "{printed}");
    assert!(printed.contains("Read-only file system"), "{printed}");
    assert!(printed.ends_with("{}\nflags.json\n"), "{printed}");
}

#[tokio::test]
async fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
    let (directory, path) = place();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    let store = FileStore::open(&path).unwrap();
    store.put(&flag("X", true), Expect::Any).await.unwrap();
    assert_eq!(mode(), 0o600);
    for wanted in [0o664, 0o640, 0o600] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(wanted)).unwrap();
        store.put(&flag("X", wanted == 0o640), Expect::Any).await.unwrap();
        assert_eq!(mode(), wanted);
    }
    let lock = directory.path().join(".flags.json.lock");
    assert_eq!(std::fs::metadata(lock).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_cannot_be_a_file_is_told_at_once() {
    let (directory, path) = place();
    let error = FileStore::open(directory.path()).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Some("open")), "{error}");
    let error = FileStore::builder(&path).require_file().open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    for bytes in [&b""[..], b"\xff{}", b"{\"a\": \xe9}", b"\xef\xbb\xbf{}"] {
        std::fs::write(&path, bytes).unwrap();
        let error = FileStore::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    // A directory that comes later is no reason to fail now, as the file may come later too.
    let later = FileStore::open(directory.path().join("later/flags.json")).unwrap();
    let error = later.put(&flag("X", true), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    std::fs::create_dir(directory.path().join("later")).unwrap();
    later.put(&flag("X", true), Expect::Any).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_100_megabytes_is_read_written_and_followed() {
    let (_directory, path) = place();
    let flags: Vec<_> = (0..1000)
        .map(|at| {
            let mut flag = flag(&format!("F{at:04}"), at % 2 == 0);
            let data = serde_json::json!({ "text": "x".repeat(100_000) });
            flag.merge_client_data(data.as_object().unwrap()).unwrap();
            flag
        })
        .collect();
    std::fs::write(&path, text(&flags)).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 100_000_000);
    let store = FileStore::open(&path).unwrap();
    let other = FeatureFlagClient::new(FileStore::open(&path).unwrap()).local().unwrap();
    assert_eq!(store.snapshot().unwrap().len(), 1000);
    store.put(&flag("F0500", false), Expect::Any).await.unwrap();
    super::until("the other's edit", || !other.is_enabled("F0500", &Context::EMPTY)).await;
    assert!(other.is_enabled("F0998", &Context::EMPTY) && other.freshness() == Freshness::Live);
    let found = store.get(FlagName::new("F0999").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.value.as_json(), flags[999].as_json());
}
