//! The layer.

use std::fmt;
use std::sync::Arc;

use flipper_core::{AsFlag, ContextBuf, Error, ErrorKind, FeatureFlagClient, Result};
use http::{HeaderValue, StatusCode};
use tower_layer::Layer;

use crate::gate::Question;
use crate::{Gate, Nothing, Redirect, Reroute, Respond, Status};

/// Puts services behind a flag.
///
/// It is for any service of tower; [`status`](Self::status) and [`redirect`](Self::redirect) are for those that answer with an
/// [`http::Response`] whose body can be empty.
///
/// # Examples
///
/// In axum:
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_tower::GateLayer;
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate = GateLayer::new(&client, "NEW_SEARCH").redirect("/search")?;
/// let app: Router = Router::new()
///     .route("/new-search", get(async || "new").layer(gate))
///     .route("/search", get(async || "old"));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[must_use = "a layer does nothing until it is put around a service"]
pub struct GateLayer<C = Nothing, O = Status> {
    question: Question,
    context: Arc<C>,
    otherwise: O,
}

impl GateLayer {
    /// Makes a layer that asks for a flag, with an empty context, and answers 404 in the place of what is behind it.
    ///
    /// If the store of the client has its flags in memory, requests are not made to wait.
    #[allow(clippy::needless_pass_by_value, reason = "texts and declared flags are passed as they are")]
    pub fn new(client: &FeatureFlagClient, flag: impl AsFlag) -> Self {
        Self {
            question: Question::new(client, &flag),
            context: Arc::new(Nothing),
            otherwise: Status(StatusCode::NOT_FOUND),
        }
    }
}

impl<C, O> GateLayer<C, O> {
    /// Chooses what counts if there is no such flag, or if nobody can tell: that of a declared flag, else off, unless told.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_tower::GateLayer;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// // An outage of the flags is none of the search.
    /// let gate = GateLayer::new(&client, "SEARCH").default_value(true);
    /// ```
    pub fn default_value(mut self, default: bool) -> Self {
        self.question.set_default(default);
        self
    }

    /// Takes the context from the request; it is empty unless told. The closure has to name the type of the request.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_tower::GateLayer;
    ///
    /// #[derive(Clone)]
    /// struct User {
    ///     id: u64,
    /// }
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "CHECKOUT").context(|request: &axum::extract::Request, context| {
    ///     // From a layer that is before this one.
    ///     if let Some(user) = request.extensions().get::<User>() {
    ///         context.push("user_id", user.id);
    ///     }
    /// });
    /// ```
    pub fn context<Request, F>(self, context: F) -> GateLayer<F, O>
    where
        F: for<'r> Fn(&'r Request, &mut ContextBuf<'r>),
    {
        self.context_by(context)
    }

    /// Takes the context from the request by a [type](crate::RequestContext) of your own.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_tower::{GateLayer, Nothing};
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "SEARCH").context_by(Nothing);
    /// ```
    pub fn context_by<T>(self, context: T) -> GateLayer<T, O> {
        let Self { question, context: _, otherwise } = self;
        GateLayer { question, context: Arc::new(context), otherwise }
    }

    /// Answers with a status and an empty body if the flag is off.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_tower::GateLayer;
    /// use http::StatusCode;
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "EXPORT").status(StatusCode::SERVICE_UNAVAILABLE);
    /// ```
    pub fn status(self, status: StatusCode) -> GateLayer<C, Status> {
        self.otherwise(Status(status))
    }

    /// Sends clients elsewhere if the flag is off: with the status 307, which keeps the method and is not cached.
    ///
    /// `location` is sent as it is, and should not be made of what a client has sent. It has to lead out of the gate: clients
    /// that are sent to where they are ask again and again.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_tower::GateLayer;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "NEW_SEARCH").redirect("/search")?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is empty, or cannot be in a header.
    pub fn redirect(self, location: &str) -> Result<GateLayer<C, Redirect>> {
        if location.is_empty() {
            let what = "an empty location leads back to the route: say where to send clients";
            return Err(Error::new(ErrorKind::InvalidInput, what).with_operation("redirect"));
        }
        let location = HeaderValue::from_str(location).map_err(|_| {
            let what =
                format!("{location:?} cannot be a location: it has characters that headers cannot have");
            Error::new(ErrorKind::InvalidInput, what).with_operation("redirect")
        })?;
        Ok(self.otherwise(Redirect(location)))
    }

    /// Answers with what a function makes of the request if the flag is off.
    ///
    /// In tonic, whose clients take the 404 that answers otherwise for a method that is not there (`UNIMPLEMENTED`), and a redirect
    /// for an unknown error:
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_tower::GateLayer;
    /// use tonic::body::Body;
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "NEW_RATES").respond(|_: http::Request<Body>| {
    ///     tonic::Status::unimplemented("not yet for you").into_http::<Body>()
    /// });
    /// ```
    pub fn respond<Request, Response, F: Fn(Request) -> Response>(
        self,
        respond: F,
    ) -> GateLayer<C, Respond<F>> {
        self.otherwise(Respond(respond))
    }

    /// Sends requests to another service if the flag is off: the old one, in the place of the new one.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_tower::GateLayer;
    /// # use axum::Router;
    /// use axum::routing::get;
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "NEW_SEARCH").service(get(async || "old").with_state(()));
    /// let app: Router = Router::new().route("/search", get(async || "new").layer(gate));
    /// ```
    pub fn service<T>(self, service: T) -> GateLayer<C, Reroute<T>> {
        self.otherwise(Reroute(service))
    }

    /// Answers in a [way](crate::Otherwise) of your own if the flag is off.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use std::future::{Ready, ready};
    /// use flipper_tower::{GateLayer, Otherwise};
    ///
    /// /// Tells what was asked for.
    /// #[derive(Clone)]
    /// struct NotYet;
    ///
    /// impl<B, E> Otherwise<http::Request<B>, http::Response<String>, E> for NotYet {
    ///     type Future = Ready<Result<http::Response<String>, E>>;
    ///
    ///     fn call(&mut self, request: http::Request<B>) -> Self::Future {
    ///         ready(Ok(http::Response::new(format!("{}: not yet", request.uri()))))
    ///     }
    /// }
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let gate = GateLayer::new(&client, "EXPORT").otherwise(NotYet);
    /// ```
    pub fn otherwise<T>(self, otherwise: T) -> GateLayer<C, T> {
        let Self { question, context, otherwise: _ } = self;
        GateLayer { question, context, otherwise }
    }
}

impl<S, C, O: Clone> Layer<S> for GateLayer<C, O> {
    type Service = Gate<S, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Gate::new(self.question.clone(), Arc::clone(&self.context), inner, self.otherwise.clone())
    }
}

impl<C, O: Clone> Clone for GateLayer<C, O> {
    fn clone(&self) -> Self {
        let Self { question, context, otherwise } = self;
        Self { question: question.clone(), context: Arc::clone(context), otherwise: otherwise.clone() }
    }
}

impl<C, O> fmt::Debug for GateLayer<C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer").field("flag", &self.question.name()).finish_non_exhaustive()
    }
}
