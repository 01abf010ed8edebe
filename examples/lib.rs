//! The examples of flipper. Each is a program of its own: `cargo run --example quickstart`.
