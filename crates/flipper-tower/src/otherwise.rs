//! What answers in the place of a route.

use std::future::{Future, Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderValue, StatusCode, header};
use tower_service::Service;

/// Answers a request in the place of a route whose flag is off. The ways to do it are the methods of
/// [`GateLayer`](crate::GateLayer); this is for those who need another one.
///
/// # Examples
///
/// ```
/// use std::future::{Ready, ready};
/// use flipper_tower::Otherwise;
///
/// /// Gives the request back.
/// #[derive(Clone)]
/// struct Echo;
///
/// impl<E> Otherwise<String, String, E> for Echo {
///     type Future = Ready<Result<String, E>>;
///
///     fn call(&mut self, request: String) -> Self::Future {
///         ready(Ok(request))
///     }
/// }
/// ```
pub trait Otherwise<Request, Response, Error> {
    /// What answers.
    type Future: Future<Output = Result<Response, Error>>;

    /// Waits until a request can be answered, as [`Service::poll_ready`] does. At once, unless told.
    ///
    /// # Errors
    ///
    /// Those of what answers, which then is not asked any more.
    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let _ = task;
        Poll::Ready(Ok(()))
    }

    /// Answers a request.
    fn call(&mut self, request: Request) -> Self::Future;
}

/// Answers with a status and an empty body: what [`GateLayer::status`](crate::GateLayer::status) makes.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_tower::{GateLayer, Nothing, Status};
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate: GateLayer<Nothing, Status> = GateLayer::new(&client, "NEW_SEARCH").status(http::StatusCode::SERVICE_UNAVAILABLE);
/// # let _ = gate;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Status(pub(crate) StatusCode);

impl<B, R: Default, E> Otherwise<http::Request<B>, http::Response<R>, E> for Status {
    type Future = Ready<Result<http::Response<R>, E>>;

    fn call(&mut self, _: http::Request<B>) -> Self::Future {
        let mut response = http::Response::new(R::default());
        *response.status_mut() = self.0;
        ready(Ok(response))
    }
}

/// Answers with a redirect: what [`GateLayer::redirect`](crate::GateLayer::redirect) makes.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_tower::{GateLayer, Nothing, Redirect};
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate: GateLayer<Nothing, Redirect> = GateLayer::new(&client, "NEW_SEARCH").redirect("/search")?;
/// # let _ = gate;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Redirect(pub(crate) HeaderValue);

impl<B, R: Default, E> Otherwise<http::Request<B>, http::Response<R>, E> for Redirect {
    type Future = Ready<Result<http::Response<R>, E>>;

    fn call(&mut self, _: http::Request<B>) -> Self::Future {
        let mut response = http::Response::new(R::default());
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(header::LOCATION, self.0.clone());
        ready(Ok(response))
    }
}

/// Answers with what a function makes of the request: what [`GateLayer::respond`](crate::GateLayer::respond) makes.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_tower::{GateLayer, Nothing, Respond};
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate: GateLayer<Nothing, Respond<_>> = GateLayer::new(&client, "NEW_SEARCH").respond(|request: String| format!("{request}: not yet"));
/// # let _ = gate;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Respond<F>(pub(crate) F);

impl<Request, Response, Error, F: Fn(Request) -> Response> Otherwise<Request, Response, Error>
    for Respond<F>
{
    type Future = Ready<Result<Response, Error>>;

    fn call(&mut self, request: Request) -> Self::Future {
        ready(Ok((self.0)(request)))
    }
}

/// Answers by another service: what [`GateLayer::service`](crate::GateLayer::service) makes.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_tower::{GateLayer, Nothing, Reroute};
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate: GateLayer<Nothing, Reroute<_>> = GateLayer::new(&client, "NEW_SEARCH").service(tower::service_fn(async |_: String| Ok::<_, String>("old".to_owned())));
/// # let _ = gate;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reroute<T>(pub(crate) T);

impl<Request, T: Service<Request>> Otherwise<Request, T::Response, T::Error> for Reroute<T> {
    type Future = T::Future;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.0.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}
