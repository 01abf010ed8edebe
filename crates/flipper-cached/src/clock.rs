//! The time by which flags expire.

/// Milliseconds since some moment, which never go back when somebody sets the clock.
pub(crate) type Millis = u64;

/// The last tick of the kernel: to read the clock exactly takes longer than the rest of a check.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn now() -> Millis {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    // Never 0, which means: not any more.
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000 + 1
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Millis {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_millis() as u64 + 1
}
