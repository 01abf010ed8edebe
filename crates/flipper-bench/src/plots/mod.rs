//! The plots of the guide, drawn from the figures in `BENCHMARKS.md` and from nothing else.

mod draw;
mod figures;
mod said;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use draw::{Bar, Dot, Group, bars, columns, dots};
pub use figures::{Figures, Missing};
pub use said::{Page, pages};

/// A file, as it should be.
#[derive(Debug, PartialEq)]
pub struct Plot {
    /// Its name, in the directory of the plots.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// Draws all plots: a picture each, and `links.md`, which has them as links that documentation can show, as it copies no files.
///
/// # Errors
///
/// If a figure is not where it is looked for.
///
/// # Examples
///
/// ```
/// let error = flipper_bench::plots("# Benchmarks\n").unwrap_err();
/// assert!(error.to_string().contains("local_path"), "{error}");
/// ```
pub fn plots(benchmarks: &str) -> Result<Vec<Plot>, Missing> {
    let figures = Figures::of(benchmarks);
    let mut plots = vec![
        Plot { name: "check.svg", text: check(&figures)? },
        Plot { name: "rules.svg", text: rules(&figures)? },
        Plot { name: "threads.svg", text: threads(&figures)? },
        Plot { name: "seen.svg", text: seen(&figures)? },
    ];
    // The first definition of a link counts, so these take the place of the files that the page itself names.
    let mut links = String::new();
    for plot in &plots {
        let data = BASE64_STANDARD.encode(&plot.text);
        // Writing to a text cannot fail.
        let _ = writeln!(links, "[{}]: data:image/svg+xml;base64,{data}", plot.name.trim_end_matches(".svg"));
    }
    plots.push(Plot { name: "links.md", text: links });
    Ok(plots)
}

/// A check of a plain flag against the floor, by the number of flags.
fn check(figures: &Figures<'_>) -> Result<String, Missing> {
    let mut groups = Vec::new();
    for (count, label) in [("10", "10 flags"), ("1000", "1,000 flags"), ("100000", "100,000 flags")] {
        let group = format!("{count} flags that are on or off");
        let of = |subject| figures.find("local_path", &group, subject, subject);
        let values = vec![
            of("floor: Cache<ArcSwap<HashMap>>, flag read")?,
            of("by name, empty context")?,
            of("by handle")?,
        ];
        groups.push(Group { label, values });
    }
    let names = ["a map lookup", "check by name", "check by handle"];
    Ok(columns("A check in memory, in nanoseconds", &names, &groups))
}

/// What rules cost.
fn rules(figures: &Figures<'_>) -> Result<String, Missing> {
    let group = "1000 flags with rules, 1000 of them checked";
    let rows = [
        ("floor", "a map lookup"),
        ("percentage", "a percentage"),
        ("one condition", "one condition"),
        ("linear ramp", "a ramp"),
        ("Sha1::digest of the text that is hashed", "SHA-1 alone"),
        ("five conditions", "five conditions"),
        ("consistent hash on an integer", "a consistent hash"),
    ];
    let mut all = Vec::new();
    for (subject, label) in rows {
        let value = figures.find("local_path", group, subject, subject)?;
        let is_ours = !matches!(label, "a map lookup" | "SHA-1 alone");
        all.push(Bar { label, value, text: format!("{value:.1} ns"), is_ours });
    }
    Ok(bars("A check by name, by what the flag has: 1,000 flags", &all, None))
}

/// What two threads get done, against one.
fn threads(figures: &Figures<'_>) -> Result<String, Missing> {
    let local = "checks per second of two threads against one, 1,000 flags";
    let hits = "hits per second of two threads against one, medians";
    let rows = [
        ("local_path", local, "floor", "floor", "in memory: a map lookup"),
        ("local_path", local, "floor", "by name", "in memory: check by name"),
        ("layers", hits, "CachedStore", "CachedStore", "cache: CachedStore"),
        ("layers", hits, "quick_cache", "quick_cache", "cache: quick_cache"),
        ("layers", hits, "lru behind a mutex", "lru behind a mutex", "cache: lru behind a mutex"),
        ("layers", hits, "moka", "moka", "cache: moka"),
    ];
    let mut all = Vec::new();
    for (section, group, line, marker, label) in rows {
        let value = figures.find(section, group, line, marker)?;
        let is_ours = label.ends_with("by name") || label.ends_with("CachedStore");
        all.push(Bar { label, value, text: format!("{value:.2} ×"), is_ours });
    }
    Ok(bars("Checks per second of two threads, as a multiple of one thread's", &all, Some(1.0)))
}

/// How soon a change by somebody else is seen.
fn seen(figures: &Figures<'_>) -> Result<String, Missing> {
    let by_others = "a change by somebody else";
    let one = "a change by somebody else, 1 flags";
    let many = "a change by somebody else, 10000 flags";
    let of_file = "an edit by somebody else, 10000 flags, from its rename on";
    let rows = [
        ("Redis", "redis", by_others, "SET, notice", "SET, change: median"),
        ("Redis, mirrored", "layers", by_others, "p50", "SET, changed answer"),
        ("PostgreSQL", "postgres", by_others, "upsert", "upsert, change: median"),
        ("Consul, 1 flag", "consul", one, "p50", "PUT, changed answer"),
        ("Consul, 10,000 flags", "consul", many, "PUT, query", "PUT, changed answer: median"),
    ];
    let mut all = Vec::new();
    for (label, section, group, line, marker) in rows {
        all.push(Dot { label, micros: figures.find(section, group, line, marker)? });
    }
    let millis = figures.find("file", of_file, "median", "median")?;
    all.push(Dot { label: "file, 10,000 flags", micros: millis * 1_000.0 });
    Ok(dots("From a change by somebody else to the changed answer, medians", &all))
}
