//! Has Thrift's compiler make Rust of the service, which the benchmark `thrift` is measured against.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    let definition = "../../thrift/feature_flag_store.thrift";
    println!("cargo::rerun-if-changed={definition}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let made = Command::new("thrift").args(["--gen", "rs", "-out"]).arg(&out).arg(definition).status();
    let generated = std::fs::read_to_string(out.join("feature_flag_store.rs")).unwrap_or_default();
    if !made.is_ok_and(|status| status.success()) || generated.is_empty() {
        println!("cargo::error=Thrift's compiler is needed (Debian: apt-get install thrift-compiler)");
        return;
    }
    // It is included in a module, which has its attributes outside.
    let included: String =
        generated.lines().filter(|line| !line.starts_with("#!")).flat_map(|line| [line, "\n"]).collect();
    if let Err(error) = std::fs::write(out.join("feature_flag_store_included.rs"), included) {
        println!("cargo::error={error}");
    }
}
