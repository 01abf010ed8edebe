//! What a request says.

use flipper_core::ContextBuf;

/// Takes the context of a check from a request. Every `Fn(&Request, &mut ContextBuf)` does; see
/// [`GateLayer::context`](crate::GateLayer::context).
///
/// # Examples
///
/// A type of its own, for gates that a program has many of:
///
/// ```
/// use flipper_core::ContextBuf;
/// use flipper_tower::RequestContext;
///
/// #[derive(Clone, Copy)]
/// struct Path;
///
/// impl<B> RequestContext<http::Request<B>> for Path {
///     fn fill<'r>(&self, request: &'r http::Request<B>, context: &mut ContextBuf<'r>) {
///         context.push("path", request.uri().path());
///     }
/// }
/// ```
pub trait RequestContext<Request> {
    /// Adds what the request says to the context. Called once for each request, before it goes anywhere; must not block.
    fn fill<'r>(&self, request: &'r Request, context: &mut ContextBuf<'r>);
}

impl<Request, F> RequestContext<Request> for F
where
    F: for<'r> Fn(&'r Request, &mut ContextBuf<'r>),
{
    fn fill<'r>(&self, request: &'r Request, context: &mut ContextBuf<'r>) {
        self(request, context);
    }
}

/// Takes nothing: the context is empty. The default.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_tower::{GateLayer, Nothing};
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let gate: GateLayer<Nothing> = GateLayer::new(&client, "EXPORT");
/// # let _ = gate;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl<Request> RequestContext<Request> for Nothing {
    fn fill<'r>(&self, _: &'r Request, _: &mut ContextBuf<'r>) {}
}
