//! What ends a command that goes on until it is told to stop.

/// Waits for Ctrl-C, or whatever else the system says to end a program.
pub(crate) async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Waits until nobody reads the standard output any more: for commands that may have nothing to print for hours.
#[cfg(unix)]
pub(crate) async fn unread() {
    use rustix::event::{PollFd, PollFlags, poll};

    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: nothing wakes it but that, or the end of the program.
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        loop {
            // Errors and hang-ups are told unasked.
            let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut fds, None) {
                Ok(_) if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => break,
                Err(rustix::io::Errno::INTR) => {}
                // It cannot be waited for.
                Ok(_) | Err(_) => return,
            }
        }
        let _ = tell.send(());
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Elsewhere, the next thing that is printed finds out.
#[cfg(not(unix))]
pub(crate) async fn unread() {
    std::future::pending::<()>().await;
}
