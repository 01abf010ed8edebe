//! The plots that the guide shows.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use flipper_bench::{Figures, plots};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_plots_of_the_guide_show_the_figures_of_the_benchmarks() {
    let benchmarks = std::fs::read_to_string(project().join("BENCHMARKS.md")).unwrap();
    for plot in plots(&benchmarks).unwrap() {
        let shown = std::fs::read_to_string(project().join("crates/flipper/src/guide/plots").join(plot.name));
        let is_right = shown.is_ok_and(|shown| shown == plot.text);
        assert!(
            is_right,
            "{} has other figures than BENCHMARKS.md: run `cargo run -p flipper-bench --bin plots`",
            plot.name
        );
    }
}

#[test]
fn another_figure_is_another_plot() {
    let benchmarks = std::fs::read_to_string(project().join("BENCHMARKS.md")).unwrap();
    let is = plots(&benchmarks).unwrap();
    let other = benchmarks.replacen(
        "by handle                                           0.8 ns",
        "by handle   8.8 ns",
        1,
    );
    assert_ne!(other, benchmarks);
    let differs: Vec<_> = plots(&other).unwrap().into_iter().filter(|plot| !is.contains(plot)).collect();
    assert_eq!(differs.iter().map(|plot| plot.name).collect::<Vec<_>>(), ["check.svg", "links.md"]);
}

/// What a page says, and where the figure is: part, heading, line, what comes before it, and by how much to multiply it.
type Said = (&'static str, &'static str, &'static str, &'static str, &'static str, f64);

const README: &[Said] = &[
    ("it takes 12.5 ns", "local_path", "1000 flags that are on or off", "by name, empty", "context", 1.0),
    (
        "the lookup alone takes 12.3 ns",
        "local_path",
        "1000 flags that are on or off",
        "floor",
        "flag read",
        1.0,
    ),
    ("handle, 1 ns", "local_path", "1000 flags that are on or off", "by handle", "by handle", 1.0),
];

const PERFORMANCE: &[Said] = &[
    (
        "by name among 1,000 flags takes 12.5 ns",
        "local_path",
        "1000 flags that are on or off",
        "by name, empty",
        "context",
        1.0,
    ),
    ("a map lookup 12.3 ns", "local_path", "1000 flags that are on or off", "floor", "flag read", 1.0),
    (
        "a check by handle 1.0 ns",
        "local_path",
        "1000 flags that are on or off",
        "by handle",
        "by handle",
        1.0,
    ),
    ("a percentage 15.2 ns", "local_path", RULES, "percentage", "percentage", 1.0),
    ("one condition 22.3 ns", "local_path", RULES, "one condition", "one condition", 1.0),
    ("a ramp 33.3 ns", "local_path", RULES, "linear ramp", "linear ramp", 1.0),
    ("five conditions 56.7 ns", "local_path", RULES, "five conditions", "five conditions", 1.0),
    ("a consistent hash 68.6 ns", "local_path", RULES, "consistent hash", "integer", 1.0),
    ("SHA-1 alone is 49.2 ns", "local_path", RULES, "Sha1::digest", "is hashed", 1.0),
    ("make 1.11 times", "local_path", THREADS, "floor", "by name", 1.0),
    ("the floor makes 1.15 times", "local_path", THREADS, "floor", "floor", 1.0),
    (
        "the cache 1.84 times",
        "layers",
        "hits per second of two threads against one, medians",
        "CachedStore",
        "CachedStore",
        1.0,
    ),
    ("half take 40 ns", "local_path", LATENCY, "p50", "p50", 1.0),
    ("more than 671 ns", "local_path", LATENCY, "p50", "p99.99", 1.0),
    (
        "loaded in 89 ms",
        "local_path",
        "100,000 flags, loaded from their bytes",
        "load a snapshot",
        "snapshot",
        1e-6,
    ),
    ("189 µs with Redis", "redis", SEEN, "SET, notice", "SET, change: median", 1.0),
    ("191 µs with a mirrored", "layers", SEEN, "p50", "SET, changed answer", 1.0),
    ("290 µs with PostgreSQL", "postgres", SEEN, "upsert", "upsert, change: median", 1.0),
    ("678 µs with Consul", "consul", "a change by somebody else, 1 flags", "p50", "PUT, changed answer", 1.0),
    (
        "20.5 ms with Consul",
        "consul",
        "a change by somebody else, 10000 flags",
        "PUT",
        "changed answer: median",
        1e-3,
    ),
    (
        "6.8 ms with a file",
        "file",
        "an edit by somebody else, 10000 flags, from its rename on",
        "median",
        "median",
        1.0,
    ),
    ("| on or off | 12.7 ns |", "local_path", "plain, 1000 flags", "flipper", "flipper", 1.0),
    ("| 12.7 ns | 53.6 ns |", "local_path", "plain, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("| 53.6 ns | 167.8 ns |", "local_path", "plain, 1000 flags", "launchdarkly", "evaluation", 1.0),
    ("attributes | 15.9 ns |", "local_path", "context, 1000 flags", "flipper", "flipper", 1.0),
    ("| 15.9 ns | 155.8 ns |", "local_path", "context, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("| 155.8 ns | 349.2 ns |", "local_path", "context, 1000 flags", "launchdarkly", "evaluation", 1.0),
    ("| one condition | 40.5 ns |", "local_path", "one_condition, 1000 flags", "flipper", "flipper", 1.0),
    ("| 40.5 ns | 327.4 ns |", "local_path", "one_condition, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("| 327.4 ns | 740.3 ns |", "local_path", "one_condition, 1000 flags", "launchdarkly", "evaluation", 1.0),
    ("| five conditions | 60.1 ns |", "local_path", "five_conditions, 1000 flags", "flipper", "flipper", 1.0),
    ("| 60.1 ns | 739.0 ns |", "local_path", "five_conditions, 1000 flags", "unleash", "yggdrasil", 1.0),
    (
        "| 739.0 ns | 1199.5 ns |",
        "local_path",
        "five_conditions, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    ("| a consistent hash | 66.5 ns |", "local_path", "hash, 1000 flags", "flipper", "flipper", 1.0),
    ("| 66.5 ns | 210.5 ns |", "local_path", "hash, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("| 210.5 ns | 385.5 ns |", "local_path", "hash, 1000 flags", "launchdarkly", "evaluation", 1.0),
    ("| a percentage | 15.6 ns |", "local_path", "percentage, 1000 flags", "flipper", "flipper", 1.0),
    ("| 15.6 ns | 86.7 ns |", "local_path", "percentage, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("parse: 60.3 µs", "redis", "one flag after the other", "GET, parse", "parse", 1e-3),
    ("| 61.2 µs", "redis", "one flag after the other", "get", "get", 1e-3),
    ("parse: 73.2 µs", "postgres", "one flag after the other", "SELECT, parse", "parse", 1e-3),
    ("| 80.9 µs", "postgres", "one flag after the other", "get", "get", 1e-3),
    ("parse: 234 ms", "redis", "a listing of 100000 flags", "SCAN and MGET of 5000,", "parse", 1e-6),
    ("| 212 ms", "redis", "a listing of 100000 flags", "list", "list", 1e-6),
    ("flush: 2.8 ms", "file", "one write of 2641783 bytes, 10000 flags", "write, flush", "directory", 1e-6),
    ("| 3.6 ms", "file", "one write of 2641783 bytes, 10000 flags", "put one flag", "flag", 1e-6),
    ("mutex: 28.4 ns", "layers", "a hit of 1000 flags", "lru", "mutex", 1.0),
    ("| 25.4 ns", "layers", "a hit of 1000 flags", "CachedStore", "CachedStore", 1.0),
];

const RULES: &str = "1000 flags with rules, 1000 of them checked";
const THREADS: &str = "checks per second of two threads against one, 1,000 flags";
const LATENCY: &str =
    "one check, timed by itself, while another thread writes 1,000 flags per second, 1,000 flags";
const SEEN: &str = "a change by somebody else";

#[test]
fn pages_say_the_figures_of_the_benchmarks() {
    let benchmarks = std::fs::read_to_string(project().join("BENCHMARKS.md")).unwrap();
    let figures = Figures::of(&benchmarks);
    for (page, all) in [("README.md", README), ("crates/flipper/src/guide/performance.md", PERFORMANCE)] {
        let text = std::fs::read_to_string(project().join(page)).unwrap().replace('\n', " ");
        for (said, part, group, line, marker, times) in all {
            assert!(text.contains(said), "{page} does not say {said:?}");
            let measured = figures.find(part, group, line, marker).unwrap() * times;
            // The last number of what is said, with as many digits as it has.
            let number = said
                .rsplit(|c: char| !c.is_ascii_digit() && c != '.')
                .find(|text| text.contains(|c: char| c.is_ascii_digit()));
            let number = number.unwrap();
            let digits = number.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            assert_eq!(number, format!("{measured:.digits$}"), "{page}: {said:?}");
        }
    }
}
