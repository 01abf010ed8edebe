//! The answer of a service behind a flag.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::Otherwise;
use crate::gate::Asking;

pin_project! {
    /// The answer of a [`Gate`](crate::Gate).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_tower::GateLayer;
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # flipper_testkit::tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "X").respond(|_: String| "not yet".to_owned());
    /// let route = gate.layer(service_fn(async |_: String| Ok::<_, String>("new".to_owned())));
    /// // Calling it makes the future.
    /// assert_eq!(route.oneshot("a request".to_owned()).await, Ok("not yet".to_owned()));
    /// # });
    /// ```
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GateFuture<Request, S, O>
    where
        S: Service<Request>,
        O: Otherwise<Request, S::Response, S::Error>,
    {
        #[pin]
        state: State<Request, S, O, S::Future, O::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateTaken]
    enum State<Request, S, O, On, Off> {
        /// Waits for the store.
        Asking { asking: Asking, request: Request, inner: S, otherwise: O },
        On { #[pin] future: On },
        Off { #[pin] future: Off },
        /// In the middle of a poll, or after a panic in one.
        Taken,
    }
}

impl<Request, S, O> GateFuture<Request, S, O>
where
    S: Service<Request>,
    O: Otherwise<Request, S::Response, S::Error>,
{
    pub(crate) fn asking(asking: Asking, request: Request, inner: S, otherwise: O) -> Self {
        Self { state: State::Asking { asking, request, inner, otherwise } }
    }

    pub(crate) fn on(future: S::Future) -> Self {
        Self { state: State::On { future } }
    }

    pub(crate) fn off(future: O::Future) -> Self {
        Self { state: State::Off { future } }
    }
}

impl<Request, S, O> Future for GateFuture<Request, S, O>
where
    S: Service<Request>,
    O: Otherwise<Request, S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let is_on = match state.as_mut().project() {
                StateProjection::On { future } => return future.poll(task),
                StateProjection::Off { future } => return future.poll(task),
                StateProjection::Asking { asking, .. } => ready!(asking.as_mut().poll(task)),
                // Only a service that has panicked leaves it so.
                StateProjection::Taken => return Poll::Pending,
            };
            if let StateTaken::Asking { request, mut inner, mut otherwise, .. } =
                state.as_mut().project_replace(State::Taken)
            {
                state.set(if is_on {
                    State::On { future: inner.call(request) }
                } else {
                    State::Off { future: otherwise.call(request) }
                });
            }
        }
    }
}

impl<Request, S, O> fmt::Debug for GateFuture<Request, S, O>
where
    S: Service<Request>,
    O: Otherwise<Request, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateFuture").finish_non_exhaustive()
    }
}
