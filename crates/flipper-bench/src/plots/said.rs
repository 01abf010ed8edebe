//! The figures that pages say, and where they are in `BENCHMARKS.md`.

use super::{Figures, Missing};

/// What a page says, `{}` being the figure and `#` any other; and where the figure is: part, heading, line, what comes before it, and by how much to multiply it.
type Said = (&'static str, &'static str, &'static str, &'static str, &'static str, f64);

/// A page of the project, as it should be.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// Where it is, in the project.
    pub path: &'static str,
    /// What is in it.
    pub text: String,
}

/// Puts what was measured into the pages that say it, each number with as many digits as it has there. `read` returns what is in a page.
///
/// # Errors
///
/// If a figure is not where it is looked for, or a page no longer says it.
///
/// # Examples
///
/// ```
/// let error = flipper_bench::pages("# Benchmarks\n", |_| String::new()).unwrap_err();
/// assert!(error.to_string().contains("local_path"), "{error}");
/// ```
pub fn pages(benchmarks: &str, read: impl Fn(&str) -> String) -> Result<Vec<Page>, Missing> {
    let figures = Figures::of(benchmarks);
    let all = [("README.md", README), ("crates/flipper/src/guide/performance.md", PERFORMANCE)];
    let page = |(path, said): (&'static str, &[Said])| {
        let mut text = read(path);
        for (pattern, part, group, line, marker, times) in said {
            let measured = figures.find(part, group, line, marker)? * times;
            let Some(place) = find(&text, pattern) else {
                return Err(Missing::from_page(path, pattern));
            };
            let digits = text[place.clone()].split_once('.').map_or(0, |(_, fraction)| fraction.len());
            text.replace_range(place, &format!("{measured:.digits$}"));
        }
        Ok(Page { path, text })
    };
    all.into_iter().map(page).collect()
}

/// Finds the number that stands for `{}` where a text is as the pattern says. A space is any white space.
fn find(text: &str, pattern: &str) -> Option<std::ops::Range<usize>> {
    text.char_indices().find_map(|(start, _)| matches_at(text, start, pattern))
}

fn matches_at(text: &str, start: usize, pattern: &str) -> Option<std::ops::Range<usize>> {
    let mut at = start;
    let mut place = None;
    let mut expected = pattern.chars();
    while let Some(expected_char) = expected.next() {
        let rest = text.get(at..)?;
        match expected_char {
            '#' | '{' => {
                let len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                if len == 0 {
                    return None;
                }
                if expected_char == '{' {
                    expected.next();
                    place = Some(at..at + len);
                }
                at += len;
            }
            expected_char => {
                let found = rest.chars().next()?;
                if found != expected_char && !(expected_char == ' ' && found.is_whitespace()) {
                    return None;
                }
                at += found.len_utf8();
            }
        }
    }
    place
}

const README: &[Said] = &[
    ("it takes {} ns", "local_path", "1000 flags that are on or off", "by name, empty", "context", 1.0),
    (
        "the lookup alone takes {} ns",
        "local_path",
        "1000 flags that are on or off",
        "floor",
        "flag read",
        1.0,
    ),
    ("handle, {} ns", "local_path", "1000 flags that are on or off", "by handle", "by handle", 1.0),
];

const PERFORMANCE: &[Said] = &[
    (
        "by name among 1,000 flags takes {} ns",
        "local_path",
        "1000 flags that are on or off",
        "by name, empty",
        "context",
        1.0,
    ),
    ("a map lookup {} ns", "local_path", "1000 flags that are on or off", "floor", "flag read", 1.0),
    ("a check by handle {} ns", "local_path", "1000 flags that are on or off", "by handle", "by handle", 1.0),
    (
        "a check by name takes {} ns: each",
        "local_path",
        "1000 flags that are on or off",
        "by name, counted",
        "counted",
        1.0,
    ),
    ("a percentage {} ns", "local_path", RULES, "percentage", "percentage", 1.0),
    ("one condition {} ns", "local_path", RULES, "one condition", "one condition", 1.0),
    ("a ramp {} ns", "local_path", RULES, "linear ramp", "linear ramp", 1.0),
    ("five conditions {} ns", "local_path", RULES, "five conditions", "five conditions", 1.0),
    ("a consistent hash {} ns", "local_path", RULES, "consistent hash", "integer", 1.0),
    ("SHA-1 alone is {} ns", "local_path", RULES, "Sha1::digest", "is hashed", 1.0),
    ("make {} times", "local_path", THREADS, "floor", "by name", 1.0),
    ("the floor makes {} times", "local_path", THREADS, "floor", "floor", 1.0),
    (
        "the cache {} times",
        "layers",
        "hits per second of two threads against one, medians",
        "CachedStore",
        "CachedStore",
        1.0,
    ),
    ("half take {} ns", "local_path", LATENCY, "p50", "p50", 1.0),
    ("more than {} ns", "local_path", LATENCY, "p50", "p99.99", 1.0),
    (
        "loaded in {} ms",
        "local_path",
        "100,000 flags, loaded from their bytes",
        "load a snapshot",
        "snapshot",
        1e-6,
    ),
    ("{} µs with Redis", "redis", SEEN, "SET, notice", "SET, change: median", 1.0),
    ("{} µs with a mirrored", "layers", SEEN, "p50", "SET, changed answer", 1.0),
    ("{} µs with PostgreSQL", "postgres", SEEN, "upsert", "upsert, change: median", 1.0),
    ("{} µs with Consul", "consul", "a change by somebody else, 1 flags", "p50", "PUT, changed answer", 1.0),
    (
        "{} ms with Consul",
        "consul",
        "a change by somebody else, 10000 flags",
        "PUT",
        "changed answer: median",
        1e-3,
    ),
    (
        "{} ms with a file",
        "file",
        "an edit by somebody else, 10000 flags, from its rename on",
        "median",
        "median",
        1.0,
    ),
    ("| on or off | {} ns |", "local_path", "plain, 1000 flags", "flipper", "flipper", 1.0),
    ("| on or off | # ns | {} ns |", "local_path", "plain, 1000 flags", "unleash", "yggdrasil", 1.0),
    (
        "| on or off | # ns | # ns | {} ns |",
        "local_path",
        "plain, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    (
        "| with a context of three attributes | {} ns |",
        "local_path",
        "context, 1000 flags",
        "flipper",
        "flipper",
        1.0,
    ),
    (
        "| with a context of three attributes | # ns | {} ns |",
        "local_path",
        "context, 1000 flags",
        "unleash",
        "yggdrasil",
        1.0,
    ),
    (
        "| with a context of three attributes | # ns | # ns | {} ns |",
        "local_path",
        "context, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    ("| one condition | {} ns |", "local_path", "one_condition, 1000 flags", "flipper", "flipper", 1.0),
    (
        "| one condition | # ns | {} ns |",
        "local_path",
        "one_condition, 1000 flags",
        "unleash",
        "yggdrasil",
        1.0,
    ),
    (
        "| one condition | # ns | # ns | {} ns |",
        "local_path",
        "one_condition, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    ("| five conditions | {} ns |", "local_path", "five_conditions, 1000 flags", "flipper", "flipper", 1.0),
    (
        "| five conditions | # ns | {} ns |",
        "local_path",
        "five_conditions, 1000 flags",
        "unleash",
        "yggdrasil",
        1.0,
    ),
    (
        "| five conditions | # ns | # ns | {} ns |",
        "local_path",
        "five_conditions, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    ("| a consistent hash | {} ns |", "local_path", "hash, 1000 flags", "flipper", "flipper", 1.0),
    ("| a consistent hash | # ns | {} ns |", "local_path", "hash, 1000 flags", "unleash", "yggdrasil", 1.0),
    (
        "| a consistent hash | # ns | # ns | {} ns |",
        "local_path",
        "hash, 1000 flags",
        "launchdarkly",
        "evaluation",
        1.0,
    ),
    ("| a percentage | {} ns |", "local_path", "percentage, 1000 flags", "flipper", "flipper", 1.0),
    ("| a percentage | # ns | {} ns |", "local_path", "percentage, 1000 flags", "unleash", "yggdrasil", 1.0),
    ("`GET` and parse: {} µs", "redis", "one flag after the other", "GET, parse", "parse", 1e-3),
    ("GET` and parse: # µs | {} µs", "redis", "one flag after the other", "get", "get", 1e-3),
    ("`SELECT` and parse: {} µs", "postgres", "one flag after the other", "SELECT, parse", "parse", 1e-3),
    ("SELECT` and parse: # µs | {} µs", "postgres", "one flag after the other", "get", "get", 1e-3),
    (
        "of 5,000 and parse: {} ms",
        "redis",
        "a listing of 100000 flags",
        "SCAN and MGET of 5000,",
        "parse",
        1e-6,
    ),
    ("and parse: # ms | {} ms", "redis", "a listing of 100000 flags", "list", "list", 1e-6),
    ("flush: {} ms", "file", "one write of 2641783 bytes, 10000 flags", "write, flush", "directory", 1e-6),
    (
        "rename, flush: # ms | {} ms",
        "file",
        "one write of 2641783 bytes, 10000 flags",
        "put one flag",
        "flag",
        1e-6,
    ),
    ("mutex: {} ns", "layers", "a hit of 1000 flags", "lru", "mutex", 1.0),
    ("behind a mutex: # ns | {} ns", "layers", "a hit of 1000 flags", "CachedStore", "CachedStore", 1.0),
];

const RULES: &str = "1000 flags with rules, 1000 of them checked";
const THREADS: &str = "checks per second of two threads against one, 1,000 flags";
const LATENCY: &str =
    "one check, timed by itself, while another thread writes 1,000 flags per second, 1,000 flags";
const SEEN: &str = "a change by somebody else";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_what_is_around_it() {
        let text = "a read | 60.3 µs |\n60 ns, a write: 7 ns.";
        let found = |pattern| find(text, pattern).map(|place| &text[place]);
        assert_eq!(found("read | {} µs"), Some("60.3"));
        assert_eq!(found("| # µs | {} ns"), Some("60"));
        assert_eq!(found("write: {} ns"), Some("7"));
        assert_eq!(found("write: {} µs"), None);
    }
}
