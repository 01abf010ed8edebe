//! The plots that the guide shows.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use flipper_bench::{pages, plots};

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
    let (before, rest) = benchmarks.split_once("\n  by handle ").unwrap();
    let other = format!("{before}\n  by handle 8.8 ns\n{}", rest.split_once('\n').unwrap().1);
    let differs: Vec<_> = plots(&other).unwrap().into_iter().filter(|plot| !is.contains(plot)).collect();
    assert_eq!(differs.iter().map(|plot| plot.name).collect::<Vec<_>>(), ["check.svg", "links.md"]);
}

#[test]
fn pages_say_the_figures_of_the_benchmarks() {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).unwrap();
    for page in pages(&read("BENCHMARKS.md"), read).unwrap() {
        let is_right = page.text == read(page.path);
        assert!(
            is_right,
            "{} has other figures than BENCHMARKS.md: run `cargo run -p flipper-bench --bin plots`",
            page.path
        );
    }
}
