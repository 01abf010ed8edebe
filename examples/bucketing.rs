//! Draws a ramp over time, and the users that get the flag meanwhile.
//!
//! Run it with `cargo run --example bucketing`.

use std::time::Duration;

use flipper::{Bucketer, Evaluator, Flag, FlagName, Percentage, Result, Timestamp, ctx};

const USERS: i32 = 10_000;
const WIDTH: usize = 50;

fn main() -> Result<()> {
    let start = Timestamp::from_secs(1_700_000_000);
    let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_mins(30), start)?;
    let mut flag = Flag::new(FlagName::new("SEARCH_ROLLOUT")?, start);
    flag.set_enabled(true)?;
    flag.set_bucketer(&Bucketer::consistent_hash(ramp.clone(), ["user_id"]))?;

    println!("A ramp from 20 % to 80 % in 30 minutes, and how many of {USERS} users get the flag:\n");
    println!("  minute  share  buckets   users");
    for minute in (0..=35).step_by(5) {
        let now = start + Duration::from_mins(minute);
        let clock = move || now;
        let evaluator = Evaluator::new().with_clock(&clock);
        let users =
            (0..USERS).filter(|id| evaluator.is_enabled(&flag, &ctx! { user_id: *id }, false)).count();
        let share = ramp.value_at(now).unwrap_or_default();
        let buckets = ramp.buckets(now).unwrap_or_default();
        println!(
            "  {minute:>6}  {share:>5.2}  {buckets:>7}  {users:>6}  |{}",
            bar(users as f64 / f64::from(USERS))
        );
    }

    println!("\nWho is in stays in while the ramp goes up. Users 1 to 8, minute by minute (# is on):\n");
    for id in 1..=8 {
        let line: String = (0..=30)
            .map(|minute| {
                let clock = move || start + Duration::from_mins(minute);
                let is_on =
                    Evaluator::new().with_clock(&clock).is_enabled(&flag, &ctx! { user_id: id }, false);
                if is_on { '#' } else { '.' }
            })
            .collect();
        println!("  user {id}  {line}");
    }

    println!("\nFixed shares count buckets of 100, so that a share is one bucket more than it says:\n");
    for share in [0.0, 0.001, 0.1, 0.5, 0.99, 1.0] {
        let buckets = Percentage::new(share)?.buckets(start).unwrap_or_default();
        println!("  {share:>5}  {buckets:>3} of 100  |{}", bar(f64::from(buckets) / 100.0));
    }
    Ok(())
}

fn bar(share: f64) -> String {
    let filled = (share * WIDTH as f64).round() as usize;
    format!("{}{}|", "#".repeat(filled), " ".repeat(WIDTH - filled))
}
