//! Finding figures in `BENCHMARKS.md`.

use std::fmt;

/// The text of `BENCHMARKS.md`, in which figures are looked for.
///
/// # Examples
///
/// ```
/// use flipper_bench::Figures;
///
/// let text = "## file\n\n```text\none write\n  put one flag   3.5 ns   (median 4.0)\n```\n";
/// let figures = Figures::of(text);
/// assert_eq!(figures.find("file", "one write", "put one flag", "put one flag"), Ok(3.5));
/// assert!(figures.find("file", "one write", "put two flags", "").is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Figures<'t>(&'t str);

/// Says which figure is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Missing {
    /// Of a page that no longer says a figure.
    pub(super) fn from_page(page: &str, pattern: &str) -> Self {
        Self(format!("{page} does not say {pattern:?}: change the page, or what is looked for in it"))
    }
}

impl std::error::Error for Missing {}

impl<'t> Figures<'t> {
    /// Looks for figures in a text.
    pub fn of(benchmarks: &'t str) -> Self {
        Self(benchmarks)
    }

    /// Returns the number that comes after `marker`, in the line that begins with `line`, below the heading `group`, in a part.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn find(self, part: &str, group: &str, line: &str, marker: &str) -> Result<f64, Missing> {
        self.look(part, group, line, marker).ok_or_else(|| {
            let place = format!("{part:?}, {group:?}, {line:?}, {marker:?}");
            Missing(format!("BENCHMARKS.md has no figure for {place}: run `scripts/bench` for it"))
        })
    }

    fn look(self, part: &str, group: &str, line: &str, marker: &str) -> Option<f64> {
        let mut lines = self.0.lines().skip_while(|text| text.strip_prefix("## ") != Some(part)).skip(1);
        lines.by_ref().take_while(|text| !text.starts_with("## ")).find(|text| *text == group)?;
        // What belongs to a heading is indented.
        let found = lines.take_while(|text| text.starts_with(' ')).map(str::trim_start);
        let found = found.into_iter().find(|text| text.starts_with(line))?;
        let (_, rest) = found.split_once(marker)?;
        rest.split_whitespace().next()?.parse().ok()
    }
}
