//! Whatever is done to a log is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flipper_audit::{Damage, DamageKind, Head, Verification, Verifier};

use super::{logged, place, quick};

const KEY: &str = "a key of thirty-two random bytes";

/// A log of some files, and its head.
async fn log(path: &Path, key: Option<&str>) -> Head {
    let builder = quick().rotate_at(4_000);
    let log = match key {
        Some(key) => builder.key(key),
        None => builder,
    };
    let log = log.open(path).unwrap();
    let client = logged(&log).as_actor("alice");
    for number in 0..12 {
        let name = format!("FLAG_{number}");
        client.create(&name).await.unwrap();
        client.enable(&name).await.unwrap();
    }
    log.head()
}

/// The files of a log, with their content, in order.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fs::read_dir(path.parent().unwrap()).unwrap();
    let is_ours = |path: &PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    let files: BTreeMap<_, _> = directory
        .map(|entry| entry.unwrap().path())
        .filter(is_ours)
        // The one that is written to is the last.
        .map(|found| ((found == path, found.clone()), fs::read(&found).unwrap()))
        .collect();
    files.into_iter().map(|((_, path), content)| (path, content)).collect()
}

fn put(files: &[(PathBuf, Vec<u8>)]) {
    for (path, content) in files {
        fs::write(path, content).unwrap();
    }
}

fn verify(path: &Path, head: Head) -> Verification {
    Verifier::new(path).head(head).run().unwrap()
}

#[tokio::test]
async fn a_thousand_random_tamperings_are_all_found() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    let whole = files(&path);
    assert!(whole.len() >= 4 && verify(&path, head).is_intact());
    let mut random = fastrand::Rng::with_seed(71);
    for round in 0..1_000 {
        let mut files = whole.clone();
        let (_, content) = random.choice(files.iter_mut()).unwrap();
        let at = random.usize(..content.len());
        let line_of = |at: usize| content[..at].split(|byte| *byte == b'\n').count() as u64;
        let (what, line) = match random.u32(..5) {
            0 => {
                let (line, bit) = (line_of(at), 1 << random.u32(..8));
                content[at] ^= bit;
                (format!("bit {bit} of byte {at} is another one"), Some(line))
            }
            1 => {
                let len = random.usize(1..=(content.len() - at).min(2_000));
                let line = line_of(at);
                content.drain(at..at + len);
                (format!("{len} bytes at {at} are gone"), Some(line))
            }
            2 => {
                content.truncate(at);
                (format!("it is cut off at {at}"), None)
            }
            3 => {
                let line = line_of(at);
                let more: Vec<u8> = (0..random.usize(1..50)).map(|_| random.u8(b' '..=b'~')).collect();
                content.splice(at..at, more);
                ("something is inserted".to_owned(), Some(line))
            }
            _ => {
                // A line stands somewhere else.
                let mut lines: Vec<_> =
                    content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let moved = lines.remove(random.usize(..lines.len()));
                let to = random.usize(..=lines.len());
                lines.insert(to, moved);
                *content = lines.concat();
                ("a line was moved".to_owned(), None)
            }
        };
        if files == whole {
            continue;
        }
        let file = files.iter().zip(&whole).find(|(now, before)| now != before).unwrap().0.0.clone();
        put(&files);
        let found = verify(&path, head);
        let damage = found.damage.unwrap_or_else(|| panic!("round {round}: {what} in {}", file.display()));
        if let Some(line) = line {
            // It is told where it is: there, or where the line before no longer has its end.
            let is_near = damage.file == file && damage.line.abs_diff(line) <= 1;
            let is_end = matches!(
                damage.kind,
                DamageKind::CutOff | DamageKind::Torn | DamageKind::WrongFile | DamageKind::OutOfOrder
            );
            assert!(is_near || is_end, "round {round}: {what}, line {line} of {}: {damage}", file.display());
        }
        put(&whole);
    }
    assert!(verify(&path, head).is_intact());
}

#[tokio::test]
async fn the_first_line_that_was_altered_is_named() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    let whole = files(&path);
    for (file, content) in &whole {
        let lines: Vec<_> = content.split_inclusive(|byte| *byte == b'\n').collect();
        for (at, line) in lines.iter().enumerate() {
            let altered = String::from_utf8_lossy(line).replace("alice", "mallory");
            if altered.as_bytes() == *line {
                continue;
            }
            let altered = [&lines[..at].concat(), altered.as_bytes(), &lines[at + 1..].concat()].concat();
            fs::write(file, altered).unwrap();
            let Damage { file: found, line, kind, .. } = verify(&path, head).damage.unwrap();
            assert_eq!((&found, line, kind), (file, at as u64 + 1, DamageKind::Altered));
        }
        fs::write(file, content).unwrap();
    }
}

/// Writes a line anew, with its hash, as somebody does who has no key.
fn hashed_anew(line: &[u8]) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let text = String::from_utf8(line.to_vec()).unwrap();
    let (body, _) = text.split_once("\",\"hash\":\"").unwrap();
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(format!("flipper-audit line 1\0{body}").as_bytes()).unwrap();
    let sum = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
    format!("{body}\",\"hash\":\"{}\"}}\n", &sum[..64]).into_bytes()
}

/// Alters a line of the last file, and computes the hashes of that and of all lines after it.
fn forge(path: &Path) {
    let content = fs::read(path).unwrap();
    let lines: Vec<_> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let at = lines.iter().position(|line| String::from_utf8_lossy(line).contains("alice")).unwrap();
    let mut forged = lines[..at].concat();
    let mut previous: Option<String> = None;
    for line in &lines[at..] {
        let mut text = String::from_utf8_lossy(line).replace("alice", "mallory");
        if let Some(previous) = previous {
            let place = text.find(",\"prev\":\"").unwrap() + ",\"prev\":\"".len();
            text.replace_range(place..place + 64, &previous);
        }
        let line = hashed_anew(text.as_bytes());
        let text = String::from_utf8_lossy(&line);
        previous = Some(text[text.len() - 67..text.len() - 3].to_owned());
        forged.extend(line);
    }
    fs::write(path, forged).unwrap();
}

#[tokio::test]
async fn hashes_that_were_computed_anew_are_found_by_the_head_or_by_the_key() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    forge(&path);
    // Whoever knows nothing else takes it for a log, which it is.
    assert!(Verifier::new(&path).run().unwrap().is_intact());
    assert_eq!(verify(&path, head).damage.unwrap().kind, DamageKind::NotTheHead);

    let (_directory, path) = place();
    log(&path, Some(KEY)).await;
    assert!(Verifier::new(&path).key(KEY).run().unwrap().is_intact());
    forge(&path);
    let damage = Verifier::new(&path).key(KEY).run().unwrap().damage.unwrap();
    assert_eq!(damage.kind, DamageKind::Altered);
}

#[tokio::test]
async fn a_log_is_verified_with_its_own_key_only() {
    let (_directory, path) = place();
    log(&path, Some(KEY)).await;
    let kind = |verifier: Verifier| verifier.run().unwrap().damage.map(|damage| damage.kind);
    assert_eq!(kind(Verifier::new(&path)), Some(DamageKind::WrongChain));
    assert_eq!(kind(Verifier::new(&path).key("another one")), Some(DamageKind::Altered));
    // A log without a key in the place of one with it.
    let (_other, other) = place();
    log(&other, None).await;
    assert_eq!(kind(Verifier::new(&other).key(KEY)), Some(DamageKind::WrongChain));
}

#[tokio::test]
async fn files_that_are_missing_exchanged_or_of_another_log_are_found() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    let whole = files(&path);
    let kind = || verify(&path, head).damage.map(|damage| damage.kind);
    for (file, _) in &whole {
        fs::remove_file(file).unwrap();
        assert!(matches!(kind(), Some(DamageKind::WrongFile | DamageKind::CutOff)), "{}", file.display());
        put(&whole);
    }
    fs::write(&whole[0].0, &whole[1].1).unwrap();
    fs::write(&whole[1].0, &whole[0].1).unwrap();
    assert_eq!(kind(), Some(DamageKind::WrongFile));
    put(&whole);

    let (_other, other) = place();
    log(&other, None).await;
    fs::write(&whole[1].0, &files(&other)[1].1).unwrap();
    assert!(kind().is_some());
    put(&whole);
    assert_eq!(kind(), None);
}

#[tokio::test]
async fn lines_that_are_cut_off_take_a_head_to_be_found() {
    let (_directory, path) = place();
    let head = log(&path, Some(KEY)).await;
    let content = fs::read(&path).unwrap();
    let last = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(&path, &content[..=last]).unwrap();
    assert!(Verifier::new(&path).key(KEY).run().unwrap().is_intact());
    let damage = Verifier::new(&path).key(KEY).head(head).run().unwrap().damage.unwrap();
    assert_eq!(damage.kind, DamageKind::CutOff);
    assert!(damage.message.contains("1 are cut off"), "{damage}");
}

#[tokio::test]
async fn the_rest_is_verified_from_a_known_head_when_old_files_were_removed() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    let whole = files(&path);
    let first = String::from_utf8(whole[0].1.clone()).unwrap();
    let last = first.lines().last().unwrap();
    let start: Head =
        format!("{}:{}", first.lines().count(), &last[last.len() - 66..last.len() - 2]).parse().unwrap();
    fs::remove_file(&whole[0].0).unwrap();
    assert!(!verify(&path, head).is_intact());
    let found = Verifier::new(&path).head(head).start(start).run().unwrap();
    assert_eq!((found.damage, found.head), (None, head));
    // Nor is any other start taken.
    let other: Head = format!("{}:{}", start.lines(), "00".repeat(32)).parse().unwrap();
    assert!(!Verifier::new(&path).start(other).run().unwrap().is_intact());
}

#[tokio::test]
async fn a_log_may_have_grown_since_its_head_was_kept() {
    let (_directory, path) = place();
    let head = log(&path, None).await;
    let again = quick().rotate_at(4_000).open(&path).unwrap();
    logged(&again).create("LATER").await.unwrap();
    let found = verify(&path, head);
    assert!(found.is_intact() && found.head.lines() > head.lines());
    assert_eq!(found.head, again.head());
}

#[tokio::test]
async fn who_knows_the_format_and_has_another_log_with_the_same_key_is_found_out() {
    let (_directory, path) = place();
    let head = log(&path, Some(KEY)).await;
    let (_other, other) = place();
    log(&other, Some(KEY)).await;
    let (whole, foreign) = (files(&path), files(&other));
    let lines = |content: &[u8]| -> Vec<Vec<u8>> {
        content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let damage = || Verifier::new(&path).key(KEY).head(head).run().unwrap().damage.map(|damage| damage.kind);
    let restore = || {
        for (file, _) in files(&path) {
            fs::remove_file(file).unwrap();
        }
        put(&whole);
        assert_eq!(damage(), None);
    };
    // A line, a header, a file, all files of the other one.
    for at in [0, 1, 5] {
        let mut mixed = lines(&whole[1].1);
        mixed[at] = lines(&foreign[1].1)[at].clone();
        fs::write(&whole[1].0, mixed.concat()).unwrap();
        assert!(damage().is_some(), "line {at}");
        restore();
    }
    for at in 0..whole.len() {
        fs::write(&whole[at].0, &foreign[at].1).unwrap();
        assert!(damage().is_some(), "file {at}");
        restore();
    }
    for (file, content) in whole.iter().zip(&foreign).map(|((file, _), (_, content))| (file, content)) {
        fs::write(file, content).unwrap();
    }
    assert_eq!(damage(), Some(DamageKind::NotTheHead));
    restore();
    // Twice, under the next number or in the place of the last; emptied; with another name.
    let last = whole.len() - 1;
    for (from, to) in
        [(0, path.with_file_name(format!("audit.jsonl.{:06}", last + 1))), (last - 1, path.clone())]
    {
        fs::write(to, &whole[from].1).unwrap();
        assert!(damage().is_some(), "{from}");
        restore();
    }
    for (file, _) in &whole {
        fs::write(file, "").unwrap();
        assert!(damage().is_some(), "{}", file.display());
        restore();
        fs::rename(file, path.with_file_name("audit.jsonl.000099")).unwrap();
        assert!(*file == path || damage().is_some(), "{}", file.display());
        restore();
    }
    // A file of which only its end is known to be wrong is told when the next one follows.
    let cut = &whole[0].1[..whole[0].1.len() - 1];
    fs::write(&whole[0].0, cut).unwrap();
    assert!(matches!(damage(), Some(DamageKind::Torn)), "{:?}", damage());
}
