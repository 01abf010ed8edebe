//! The program's `list` against the library's listing of the same flags in Redis, and what memory it takes.
//!
//! The program is started anew each time, connects, and prints a line for each flag, which is read here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use flipper::{Listed, Page, RedisStore, Store as _};
use flipper_bench::{Bars, Race, names, record};
use flipper_testkit::RedisServer;
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let server = RedisServer::start(&[]);
    let runtime = Runtime::new().unwrap();
    let bench = Bench { server, runtime };
    println!("memory");
    bench.fill(10_000);
    let few = bench.peak(10_000);
    bench.fill(100_000);
    let many = bench.peak(100_000);
    println!("  flipper list: {few} KiB at its peak for 10,000 flags, {many} KiB for 100,000");
    bars.at_most("cli.list.memory", many as f64 / few as f64, 2.0);
    bench.list(100_000, &mut bars);
    bars.finish()
}

struct Bench {
    server: RedisServer,
    runtime: Runtime,
}

impl Bench {
    async fn store(&self) -> RedisStore {
        RedisStore::builder(&self.server.url()).timeout(Duration::from_secs(10)).connect().await.unwrap()
    }

    /// Sees to it that there are so many flags.
    fn fill(&self, count: usize) {
        self.runtime.block_on(async {
            let store = self.store().await;
            let flags: Vec<_> = names(count).iter().map(|name| record(name, true)).collect();
            let writes = flags.iter().map(|flag| store.put(flag, flipper::Expect::Any));
            let mut writes = futures_util::stream::iter(writes).buffer_unordered(256);
            while let Some(written) = writes.next().await {
                written.unwrap();
            }
        });
    }

    fn started(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flipper"));
        command.args(["list", "--store", &self.server.url()]).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The most memory that the program has had when nine tenths of its lines were read, in KiB: it waits then, as the pipe is full.
    fn peak(&self, count: usize) -> u64 {
        let mut child = self.started();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..count * 9 / 10 {
            lines.next().unwrap().unwrap();
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert_eq!(lines.count(), count - count * 9 / 10);
        assert!(child.wait().unwrap().success());
        peak
    }

    fn list(&self, count: usize, bars: &mut Bars) {
        println!("a listing of {count} flags");
        let store = self.runtime.block_on(self.store());
        let ns = Race::new()
            .subject("the library's listing", || {
                let listed = self.runtime.block_on(async {
                    let (mut listing, mut listed) = (store.list(Page::ALL), 0);
                    while let Some(item) = listing.next().await {
                        let Ok(Listed::Flag(_)) = item else { panic!("{item:?}") };
                        listed += 1;
                    }
                    listed
                });
                assert_eq!(listed, count);
            })
            .subject("flipper list", || {
                let mut child = self.started();
                let mut out = BufReader::with_capacity(64 << 10, child.stdout.take().unwrap());
                let (mut lines, mut line) = (0, Vec::new());
                while out.read_until(b'\n', &mut line).unwrap() > 0 {
                    lines += 1;
                    line.clear();
                }
                assert!(child.wait().unwrap().success());
                assert_eq!(lines, count);
            })
            .run();
        bars.at_most(&format!("cli.list.{count}"), ns[1] / ns[0], 1.5);
    }
}
