//! The corpora of the fuzzers, replayed: seeds, and whatever has been found once.

use std::path::Path;

use flipper_tests::fuzz;

#[test]
fn corpora_pass() {
    for (target, body) in [
        ("stored_bytes", fuzz::stored_bytes as fn(&[u8])),
        ("check_keys", fuzz::check_keys),
        ("percentages", fuzz::percentages),
        ("thrift_messages", fuzz::thrift_messages),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 10, "{target} has {} seeds", files.len());
        for file in &files {
            println!("{}", file.display());
            body(&std::fs::read(file).unwrap());
        }
    }
}
