//! Whether tasks and timers can run.

use flipper_core::{Error, ErrorKind, Result};

/// Refuses to go on where those of a store, or of what is around it, could not.
pub(crate) fn runtime() -> Result<()> {
    if tokio::runtime::Handle::try_current().is_ok() {
        return Ok(());
    }
    let message = "this store needs a Tokio runtime: open it from inside of one";
    Err(Error::new(ErrorKind::Unsupported, message).with_operation("open"))
}
