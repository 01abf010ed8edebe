//! Counts in the client data of a flag in a file, for tests that need several processes, or one to kill.
//!
//! `file-editor PATH FLAG COUNTER EDITS` makes so many edits and prints the counter after each. An error ends it.

use std::io::Write;
use std::process::ExitCode;

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};
use flipper_file::FileStore;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, flag, counter, edits] = &arguments[..] else {
        eprintln!("usage: file-editor PATH FLAG COUNTER EDITS");
        return ExitCode::from(2);
    };
    let edits = edits.parse().unwrap_or(u64::MAX);
    match count(path, flag, counter, edits).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{:?}: {error}", error.kind());
            ExitCode::FAILURE
        }
    }
}

async fn count(path: &str, flag: &str, counter: &str, edits: u64) -> Result<()> {
    let client = FeatureFlagClient::new(FileStore::open(path)?);
    match client.create(flag).await {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for _ in 0..edits {
        let mut now = 0;
        let edit = client.update(flag, |flag| {
            let data = Value::from(&flag.client_data());
            now = data[counter].as_u64().unwrap_or(0) + 1;
            let data = json!({ counter: now });
            flag.merge_client_data(
                data.as_object().ok_or_else(|| Error::new(ErrorKind::Internal, "no object"))?,
            )
        });
        edit.await?;
        println!("{now}");
        let _ = std::io::stdout().flush();
    }
    Ok(())
}
