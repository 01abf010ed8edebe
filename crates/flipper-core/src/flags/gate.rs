//! What the code that `#[feature]` makes calls. Nobody else should: it changes with that.
#![allow(missing_docs, reason = "nobody is to call it")]

use std::future::{Future, ready};
use std::ops::Deref;

use super::AsFlag;
use crate::{Context, FeatureFlagClient, LocalClient};

/// A client that is asked without waiting, or what points to one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked in a function that is not `async`",
    label = "not a `LocalClient`",
    note = "make the function `async`, or give a `LocalClient`: `FeatureFlagClient::local` makes one",
    note = "`#[async_trait]` makes functions that are not `async`: gate one that they call"
)]
pub trait AskNow {
    fn ask_now(&self, name: &str, context: &Context<'_>, default: bool) -> bool;
}

impl AskNow for LocalClient {
    fn ask_now(&self, name: &str, context: &Context<'_>, default: bool) -> bool {
        self.is_enabled_or(name, context, default)
    }
}

impl<P: Deref<Target: AskNow>> AskNow for P {
    fn ask_now(&self, name: &str, context: &Context<'_>, default: bool) -> bool {
        (**self).ask_now(name, context, default)
    }
}

/// A client that is asked, or what points to one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no client of flags",
    label = "neither a `FeatureFlagClient` nor a `LocalClient`"
)]
pub trait Ask {
    fn ask(&self, name: &str, context: &Context<'_>, default: bool) -> impl Future<Output = bool> + Send;
}

impl Ask for FeatureFlagClient {
    fn ask(&self, name: &str, context: &Context<'_>, default: bool) -> impl Future<Output = bool> + Send {
        self.is_enabled_or(name, context, default)
    }
}

impl Ask for LocalClient {
    fn ask(&self, name: &str, context: &Context<'_>, default: bool) -> impl Future<Output = bool> + Send {
        ready(self.is_enabled_or(name, context, default))
    }
}

impl<P: Deref<Target: Ask>> Ask for P {
    fn ask(&self, name: &str, context: &Context<'_>, default: bool) -> impl Future<Output = bool> + Send {
        (**self).ask(name, context, default)
    }
}

pub fn is_on_now(
    client: &impl AskNow,
    flag: &impl AsFlag,
    context: &Context<'_>,
    default: Option<bool>,
) -> bool {
    client.ask_now(flag.flag_name(), context, default.unwrap_or_else(|| flag.flag_default()))
}

pub fn is_on<'a>(
    client: &'a impl Ask,
    flag: &'a impl AsFlag,
    context: &'a Context<'a>,
    default: Option<bool>,
) -> impl Future<Output = bool> + Send {
    client.ask(flag.flag_name(), context, default.unwrap_or_else(|| flag.flag_default()))
}
