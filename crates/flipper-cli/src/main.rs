//! The command line of flipper: see the library of this crate.

fn main() -> std::process::ExitCode {
    flipper_cli::main()
}
