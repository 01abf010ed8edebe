//! How far long work has come, for whoever waits at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on a terminal, and nothing elsewhere. It goes away when it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins; `whole` says how much there is to do, if that is known.
    pub(crate) fn new(what: &'static str, whole: Option<u64>, is_json: bool) -> Self {
        // Hidden unless the standard error is a terminal.
        let target =
            if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) };
        let bar = ProgressBar::with_draw_target(whole, target).with_message(what);
        let template = match whole {
            Some(_) => "{msg} {human_pos} of {human_len} {wide_bar} {eta}",
            None => "{spinner} {msg} {human_pos}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        // Work that is done at once shows nothing.
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    /// So much more was done.
    pub(crate) fn add(&self, more: u64) {
        self.0.inc(more);
    }

    /// Prints something while the bar is out of the way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
