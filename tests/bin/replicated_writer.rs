//! Writes flags to a Redis with a file as its replica, without end: to be killed.
//!
//!     replicated-writer REDIS-URL FILE
//!
//! Prints a line once it has written a hundred times.

use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, Flag, FlagName, Store, Timestamp};
use flipper_file::FileStore;
use flipper_redis::RedisStore;
use flipper_replicated::ReplicatedStore;

#[tokio::main]
async fn main() -> flipper_core::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let missing = || Error::new(ErrorKind::InvalidInput, "replicated-writer REDIS-URL FILE");
    let primary = RedisStore::connect(&arguments.next().ok_or_else(missing)?).await?;
    let file = FileStore::open(arguments.next().ok_or_else(missing)?)?;
    let builder = ReplicatedStore::builder(primary).replica("file", file);
    let store = builder.linger(Duration::from_millis(2)).start()?;
    for number in 1.. {
        let name = format!("F{}", fastrand::u32(..30));
        let name = FlagName::new(&name)?;
        if fastrand::u32(..8) == 0 {
            store.delete(name, Expect::Any).await?;
        } else {
            store.put(&Flag::new(name, Timestamp::from_secs(number)), Expect::Any).await?;
        }
        if number == 100 {
            println!("{number}");
        }
    }
    Ok(())
}
