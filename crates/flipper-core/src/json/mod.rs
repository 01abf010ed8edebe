//! Python's dialect of JSON, read and written so that nothing is lost.
//!
//! flipper-client stores what Python's `json.dumps` prints and reads what `json.loads` accepts. That is JSON
//! (RFC 8259) and a little more: bare `NaN`, `Infinity` and `-Infinity`, integers of any size that stay distinct
//! from floats, strings with lone surrogates, objects in insertion order. [`serde_json`] can hold none of these
//! without features that would change the whole build of an application, so this module has a reader
//! ([`Value::parse`]), a writer (`Display`) and a [`Value`] of its own. At the edges of the API,
//! [`serde_json::Value`] converts to and from it.
//!
//! The format is that of Python's [`json` module](https://docs.python.org/3/library/json.html), ASCII only, with
//! `", "` and `": "` as separators.
//!
//! # Examples
//!
//! ```
//! use flipper_core::json::Value;
//!
//! let value = Value::parse(r#"{"big": 1208925819614629174706176, "nan": NaN, "é": 1e-7}"#)?;
//! assert_eq!(value.to_string(), r#"{"big": 1208925819614629174706176, "nan": NaN, "\u00e9": 1e-07}"#);
//! # Ok::<(), flipper_core::Error>(())
//! ```

mod convert;
mod members;
mod number;
mod ordered;
mod parse;
mod scan;
mod tape;
mod text;
mod value;
mod write;

pub use members::members;
pub use number::BigInt;
pub use parse::place;
pub use text::Text;
pub use value::{Object, Value};

pub(crate) use number::{Number, python_float};
pub(crate) use ordered::Ordered;
pub(crate) use tape::{Document, Kind, Node, shortened, show};
pub(crate) use text::{CodePoints, wtf8_lossy};
pub(crate) use write::{
    Sink, TooDeep, into_string, separate, write_bool, write_float, write_int, write_serde, write_text,
    write_value,
};

/// The most bytes that one record may have: 16 MiB. A longer one is an error, not an allocation.
///
/// # Examples
///
/// ```
/// use flipper_core::json::MAX_BYTES;
///
/// assert_eq!(MAX_BYTES, 16 * 1024 * 1024);
/// ```
pub const MAX_BYTES: usize = 16 << 20;

/// The most arrays and objects that may be nested in one another. A deeper record is an error, not a crash.
///
/// # Examples
///
/// ```
/// use flipper_core::json::{MAX_DEPTH, Value};
///
/// let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
/// assert!(Value::parse(&deep).is_err());
/// ```
pub const MAX_DEPTH: usize = 200;
