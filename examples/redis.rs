//! Flags in Redis: one process toggles a flag, another prints the change as it lands.
//!
//! ```sh
//! docker compose up -d --wait redis            # or any other server; REDIS_URL says where, redis://127.0.0.1 unless it is set
//! cargo run --example redis -- watch           # in one terminal; Ctrl-C ends it
//! cargo run --example redis -- toggle          # in another one
//! cargo run --example redis                    # both, by itself
//! ```

use std::process::{Child, Command};
use std::time::Duration;

use flipper::{Change, ErrorKind, FeatureFlagClient, Store, ctx};
use futures_lite::StreamExt;

const FLAG: &str = "EXAMPLE_CHECKOUT";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let client = flipper::open(&address).await?;
    match std::env::args().nth(1).as_deref() {
        Some("toggle") => toggle(&client).await?,
        Some("watch") => watch(&client, None).await?,
        _ => watch(&client, Some(Command::new(std::env::current_exe()?).arg("toggle"))).await?,
    }
    client.close().await?;
    Ok(())
}

/// Prints what happens to the flag, whoever does it: this program, Python's flipper-client, redis-cli.
async fn watch(
    client: &FeatureFlagClient,
    toggle: Option<&mut Command>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut changes = client.store().watch().ok_or("Redis can be watched")?;
    let mut toggling: Option<Child> = None;
    let mut start = toggle;
    while let Some(change) = changes.next().await {
        match change {
            Change::Resync { cause } => {
                println!("watching ({cause:?})");
                // Only now, so that nothing is missed.
                if let Some(command) = start.take() {
                    toggling = Some(command.spawn()?);
                }
            }
            Change::Put(found) if found.value.name() == FLAG => {
                let flag = found.value;
                let beta = if flag.is_enabled(&ctx! { is_beta: true }) { "on" } else { "off" };
                let others = if flag.is_enabled(&ctx! { is_beta: false }) { "on" } else { "off" };
                println!("{FLAG}: {beta} for beta users, {others} for others");
            }
            Change::Deleted { name, .. } if *name == *FLAG => {
                println!("{FLAG}: gone");
                if let Some(mut child) = toggling.take() {
                    child.wait()?;
                    break;
                }
            }
            Change::Bad { name, error, .. } => println!("{name}: {error}"),
            Change::Down { error } => println!("{error}; waiting"),
            _ => {}
        }
    }
    Ok(())
}

/// What somebody does in the course of a rollout.
async fn toggle(client: &FeatureFlagClient) -> flipper::Result<()> {
    let pause = || tokio::time::sleep(Duration::from_millis(300));
    let flag = match client.create(FLAG).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => client.get(FLAG),
        created => created?,
    };
    pause().await;
    flag.add_condition(&flipper::Condition::builder().eq("is_beta", true).build()?).await?;
    pause().await;
    flag.enable().await?;
    pause().await;
    flag.set_conditions(&[]).await?;
    pause().await;
    flag.destroy().await
}
