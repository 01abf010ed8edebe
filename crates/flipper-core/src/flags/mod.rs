//! Flags that are declared in code.

mod as_flag;
mod date;
mod declared;
mod definition;
pub mod gate;
mod verification;
mod verify;

pub use as_flag::AsFlag;
pub use date::Date;
pub use declared::Flags;
pub use definition::FlagDefinition;
pub use verification::Verification;
pub use verify::Verify;
