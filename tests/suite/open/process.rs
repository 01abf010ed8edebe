//! A process of its own for an address: region and credentials of AWS are a matter of the environment, which all tests of a process
//! share.

use std::process::Command;

use super::{is_on, switch_on};

/// The address that the process opens, instead of testing.
const ADDRESS: &str = "FLIPPER_OPENED_ADDRESS";

/// Opens an address in a process with an environment, and nothing else of AWS in it. Returns what it tells.
pub(super) fn told(address: &str, environment: &[(String, String)]) -> String {
    let test = "open::process::an_address_is_opened_in_the_environment_of_the_process";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ADDRESS, address);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name == "HOME") {
        command.env_remove(name);
    }
    // Nobody is asked whether this is a machine of AWS's.
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    let output = command.envs(environment.iter().cloned()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = shown.lines().find_map(|line| line.split_once("TOLD ")).map(|(_, told)| told.to_owned());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    told.unwrap_or_else(|| panic!("nothing is told: {shown} {error}"))
}

/// Expects that an address can be opened, and what is told of a flag there.
pub(super) fn opens(address: &str, environment: &[(String, String)], expected: &str) {
    assert_eq!(told(address, environment), expected, "{}", flipper::redacted(address));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_opened_in_the_environment_of_the_process() {
    let Ok(address) = std::env::var(ADDRESS) else {
        // What the process does with an address that needs no environment.
        assert_eq!(tell("memory:").await, "X is on, local");
        assert!(tell("s3://").await.starts_with("InvalidInput: "));
        return;
    };
    println!("TOLD {}", tell(&address).await);
}

async fn tell(address: &str) -> String {
    let client = match flipper::open(address).await {
        Ok(client) => client,
        Err(error) => return format!("{:?}: {}", error.kind(), error.message()),
    };
    if !is_on(&client, "X").await {
        switch_on(&client, "X").await;
    }
    let is_on = if is_on(&client, "X").await { "on" } else { "off" };
    let told = format!("X is {is_on}, {}", if client.local().is_ok() { "local" } else { "asked" });
    client.close().await.unwrap();
    told
}
