//! Draws the plots of the guide anew, and puts into its pages what was measured, from the figures in `BENCHMARKS.md`: `cargo run -p flipper-bench --bin plots`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let benchmarks = std::fs::read_to_string(project.join("BENCHMARKS.md"))?;
    for plot in flipper_bench::plots(&benchmarks)? {
        let path = project.join("crates/flipper/src/guide/plots").join(plot.name);
        std::fs::write(&path, plot.text)?;
        println!("{}", plot.name);
    }
    let read = |path: &str| std::fs::read_to_string(project.join(path)).unwrap_or_default();
    for page in flipper_bench::pages(&benchmarks, read)? {
        std::fs::write(project.join(page.path), page.text)?;
        println!("{}", page.path);
    }
    Ok(())
}
