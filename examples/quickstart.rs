//! Reads flags as Python's flipper-client has stored them, checks them, and explains the answers.
//!
//! Run it with `cargo run --example quickstart`. The records in `examples/flags` were written by flipper-client
//! 1.3.2, byte for byte as it puts them into Redis, Consul or S3.

use std::path::Path;

use flipper::{Bucketer, Flag, FlagName, Result, ctx};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("flags");

    println!("Flags, as flipper-client stored them:\n");
    for name in ["CHECKOUT", "HOMEPAGE_AB_TEST", "HORSE_SOUNDS", "OLD_MENU", "SEARCH_ROLLOUT"] {
        let flag = read(&folder, name)?;
        let state = if flag.is_switched_on() { "on " } else { "off" };
        let bucketer = match flag.bucketer() {
            Bucketer::NoOp => "everybody",
            Bucketer::Percentage(_) => "a share of the checks",
            Bucketer::ConsistentHash(_) => "a share of the users",
            _ => "a bucketer of a newer writer",
        };
        println!("  {state} {name:<18} for {bucketer}, {} condition(s)", flag.conditions().len());
    }

    println!(
        "\nHORSE_SOUNDS is for horse lovers, and for people with more than 9000 horses outside the city:\n"
    );
    let flag = read(&folder, "HORSE_SOUNDS")?;
    for (who, context) in [
        ("somebody", ctx! {}),
        ("a horse lover", ctx! { is_horse_lover: true }),
        ("a horse lover with 8000 horses", ctx! { is_horse_lover: true, number_of_horses_owned: 8000 }),
        ("somebody in the city", ctx! { location: "city" }),
    ] {
        println!("  {who:<32} {}", if flag.is_enabled(&context) { "on" } else { "off" });
    }

    println!("\nWhy? Every step of two answers:\n");
    let context = ctx! { is_horse_lover: true, number_of_horses_owned: 8000, location: "farm" };
    println!("{}", flag.explain(&context));
    println!("{}", read(&folder, "HOMEPAGE_AB_TEST")?.explain(&ctx! { user_id: 2 }));

    println!("An edit changes what it is about, and nothing else:\n");
    let mut flag = read(&folder, "OLD_MENU")?;
    println!("  before  {}", flag.as_json());
    flag.set_enabled(true)?;
    println!("  after   {}", flag.as_json());
    Ok(())
}

fn read(folder: &Path, name: &str) -> std::result::Result<Flag, Box<dyn std::error::Error>> {
    let stored = std::fs::read(folder.join(format!("{name}.json")))?;
    let flag: Result<Flag> = Flag::read(FlagName::new(name)?, &stored);
    Ok(flag?)
}
