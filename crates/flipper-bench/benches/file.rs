//! The file store: what a write costs, against the same bytes made durable without it, and how soon others see it.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a benchmark")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, Race};
use flipper_core::{Context, Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp};
use flipper_file::FileStore;
use futures_lite::future::block_on;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    write(10_000, &mut bars);
    seen(10_000, &mut bars);
    bars.finish()
}

fn flag(name: &str, is_on: bool) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(is_on).unwrap();
    flag
}

/// Makes a file of many flags, as the store lays it out.
fn file(path: &Path, count: usize) -> Vec<Box<str>> {
    let names = flipper_bench::names(count);
    let mut sorted: Vec<_> = names.iter().collect();
    sorted.sort_unstable();
    let members = sorted.iter().map(|name| {
        let item: serde_json::Value = serde_json::from_str(flag(name, false).as_json()).unwrap();
        let text = serde_json::to_string_pretty(&item).unwrap().replace('\n', "\n  ");
        format!("  {}: {text}", serde_json::Value::from(&***name))
    });
    fs::write(path, format!("{{\n{}\n}}\n", members.collect::<Vec<_>>().join(",\n"))).unwrap();
    names
}

/// What no design can do without.
fn bare(directory: &Path, bytes: &[u8]) {
    let (new, to) = (directory.join("bare.new"), directory.join("bare"));
    let mut file = File::create(&new).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(new, to).unwrap();
    File::open(directory).unwrap().sync_all().unwrap();
}

fn write(count: usize, bars: &mut Bars) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    let names = file(&path, count);
    let bytes = fs::read(&path).unwrap();
    println!("one write of {} bytes, {count} flags", bytes.len());
    let store = FileStore::open(&path).unwrap();
    let mut number = 0;
    let ns = Race::new()
        .subject("write, flush, rename, flush the directory", || bare(directory.path(), &bytes))
        .subject("put one flag", || {
            number += 1;
            let flag = flag(&names[number % names.len()], number % 2 == 0);
            block_on(store.put(&flag, Expect::Any)).unwrap();
        })
        .run();
    bars.at_most(&format!("file.write.{count}"), ns[1] / ns[0], 2.0);
}

fn seen(count: usize, bars: &mut Bars) {
    println!("an edit by somebody else, {count} flags, from its rename on");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    let names = file(&path, count);
    // Only a notice can be in time.
    let store = FileStore::builder(&path).poll_interval(Duration::from_hours(1)).open().unwrap();
    let local = FeatureFlagClient::new(store).local().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let name = &*names[count / 2];
    let at = text.find(&format!("{name:?}: {{")).unwrap();
    let (before, after) = text.split_at(at);
    let on = format!("{before}{}", after.replacen("\"is_enabled\": false", "\"is_enabled\": true", 1));
    let mut millis: Vec<f64> = (0..100)
        .map(|round| {
            let is_on = round % 2 == 0;
            let new = directory.path().join("new");
            fs::write(&new, if is_on { &on } else { &text }).unwrap();
            fs::rename(&new, &path).unwrap();
            let start = Instant::now();
            while local.is_enabled(name, &Context::EMPTY) != is_on {
                std::thread::sleep(Duration::from_micros(200));
            }
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    millis.sort_unstable_by(f64::total_cmp);
    println!("  median {:.1} ms, slowest {:.1} ms", millis[50], millis[99]);
    bars.at_most(&format!("file.seen_ms.{count}"), millis[99], 50.0);
}
