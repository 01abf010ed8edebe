//! A service behind a flag.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use flipper_core::json::Object;
use flipper_core::{AsFlag, ContextBuf, FeatureFlagClient, LocalFlag};
use tower_service::Service;

use crate::{GateFuture, Otherwise, RequestContext};

/// What is asked of whom.
#[derive(Clone)]
pub(crate) struct Question {
    client: FeatureFlagClient,
    flag: Arc<str>,
    default: bool,
    /// If it can be asked without waiting. One for all requests, so that it is looked up once.
    local: Option<Arc<LocalFlag>>,
}

pub(crate) type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Question {
    pub(crate) fn new(client: &FeatureFlagClient, flag: &impl AsFlag) -> Self {
        let name = flag.flag_name();
        let local = client.local().ok().map(|local| Arc::new(local.flag(name)));
        Self { client: client.clone(), flag: name.into(), default: flag.flag_default(), local }
    }

    pub(crate) fn set_default(&mut self, default: bool) {
        self.default = default;
    }

    pub(crate) fn name(&self) -> &str {
        &self.flag
    }

    /// Asks the store, with a context that it owns: what a request lends cannot be kept while something is waited for, as
    /// bodies cannot be shared between threads.
    fn ask(&self, context: &ContextBuf<'_>) -> Asking {
        let Self { client, flag, default, local: _ } = self.clone();
        let context = Object::from(context.as_context());
        Box::pin(async move {
            let pairs = context.iter().filter_map(|(name, value)| Some((name.as_str()?, value)));
            let context: ContextBuf<'_> = pairs.collect();
            client.is_enabled_or(&flag, &context.as_context(), default).await
        })
    }
}

/// A service behind a flag: what [`GateLayer`](crate::GateLayer) makes.
///
/// It is ready when both the service and what answers in its place are, since which of them gets a request is known only when
/// there is one. The flag is asked for at each request. What a service reserves when it is ready, as the permit of a limit, it
/// keeps for the gate's next request if this one was for the other; so both should not have the same limit, and a gate that
/// is idle is better dropped, as servers do with the clones that they make for each request.
///
/// # Examples
///
/// A service need not speak HTTP:
///
/// ```
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_tower::GateLayer;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # flipper_testkit::tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate = GateLayer::new(&client, "DOUBLE").respond(|number: u32| number);
/// let double = gate.layer(service_fn(async |number: u32| Ok::<_, String>(number * 2)));
/// assert_eq!(double.clone().oneshot(4).await, Ok(4));
///
/// client.create("DOUBLE").await?.enable().await?;
/// assert_eq!(double.oneshot(4).await, Ok(8));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct Gate<S, C, O> {
    question: Question,
    context: Arc<C>,
    inner: S,
    otherwise: O,
}

impl<S, C, O> Gate<S, C, O> {
    pub(crate) fn new(question: Question, context: Arc<C>, inner: S, otherwise: O) -> Self {
        Self { question, context, inner, otherwise }
    }

    /// Returns the service behind the flag.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<Request, S, C, O> Service<Request> for Gate<S, C, O>
where
    S: Service<Request> + Clone,
    C: RequestContext<Request>,
    O: Otherwise<Request, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GateFuture<Request, S, O>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.inner.poll_ready(task))?;
        self.otherwise.poll_ready(task)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut context = ContextBuf::new();
        self.context.fill(&request, &mut context);
        let Some(flag) = &self.question.local else {
            let asking = self.question.ask(&context);
            drop(context);
            // What is ready goes with the request; a clone need not be.
            let inner = self.inner.clone();
            let inner = mem::replace(&mut self.inner, inner);
            let otherwise = self.otherwise.clone();
            let otherwise = mem::replace(&mut self.otherwise, otherwise);
            return GateFuture::asking(asking, request, inner, otherwise);
        };
        let is_on = flag.is_enabled_or(&context.as_context(), self.question.default);
        drop(context);
        if is_on {
            GateFuture::on(self.inner.call(request))
        } else {
            GateFuture::off(self.otherwise.call(request))
        }
    }
}

impl<S: Clone, C, O: Clone> Clone for Gate<S, C, O> {
    fn clone(&self) -> Self {
        Self {
            question: self.question.clone(),
            context: Arc::clone(&self.context),
            inner: self.inner.clone(),
            otherwise: self.otherwise.clone(),
        }
    }
}

impl<S: fmt::Debug, C, O> fmt::Debug for Gate<S, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("flag", &self.question.name())
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
