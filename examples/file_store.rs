//! Flags in a file that is kept in Git: read it, and print what changes as somebody edits it.
//!
//! ```sh
//! cargo run --example file_store                            # works on a copy of examples/flags.json, and edits it itself
//! cargo run --example file_store -- examples/flags.json     # edit that file in any editor meanwhile; Ctrl-C ends it
//! ```

use std::path::PathBuf;

use flipper::{Change, FeatureFlagClient, FileStore, Store, ctx};
use futures_lite::StreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let path = match &given {
        Some(path) => path.clone(),
        None => copy_of_the_example()?,
    };
    let store = FileStore::builder(&path).require_file().open()?;
    let mut changes = store.watch().ok_or("a file is followed")?;
    let client = FeatureFlagClient::new(store);
    let local = client.local()?;
    let lover = ctx! { is_horse_lover: true };
    println!("{}", path.display());
    for name in ["CHECKOUT", "HORSE_SOUNDS"] {
        println!("{name} is {} for a horse lover", if local.is_enabled(name, &lover) { "on" } else { "off" });
    }

    let myself = given.is_none().then(|| tokio::spawn(edit(path, client)));
    while let Some(change) = changes.next().await {
        match change {
            Change::Resync { .. } => println!("following the file"),
            Change::Put(found) => {
                let is_on = if found.value.is_enabled(&lover) { "on" } else { "off" };
                println!("{} was written: {is_on} for a horse lover", found.value.name());
            }
            Change::Deleted { name, .. } => println!("{name} was deleted"),
            Change::Bad { error, .. } | Change::Down { error } => println!("{error}"),
            other => println!("{other:?}"),
        }
    }
    // The stream has ended, as the store was closed.
    if let Some(myself) = myself {
        myself.await??;
    }
    Ok(())
}

fn copy_of_the_example() -> std::io::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("flipper-example-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let copy = directory.join("flags.json");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/flags.json"), &copy)?;
    Ok(copy)
}

/// What somebody in an editor might do, a mistake included, and then a program.
async fn edit(path: PathBuf, client: FeatureFlagClient) -> Result<(), flipper::Error> {
    let pause = || tokio::time::sleep(std::time::Duration::from_millis(300));
    let save = |text: &str| std::fs::write(&path, text).unwrap_or_else(|error| eprintln!("{error}"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    pause().await;
    save(&text.replace("\"is_enabled\": false,", "\"is_enabled\": tru,"));
    pause().await;
    save(&text.replace("\"is_enabled\": false,", "\"is_enabled\": true,"));
    pause().await;
    client.disable("CHECKOUT").await?;
    client.destroy("HORSE_SOUNDS").await?;
    client.close().await?;
    let _ = path.parent().map(std::fs::remove_dir_all);
    Ok(())
}
