//! What the conformance suite has to know about a store.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use flipper_core::{FlagName, Store};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Make<S> = Box<dyn Fn() -> BoxFuture<S> + Send + Sync>;
type Sibling<S> = Box<dyn Fn(Arc<S>) -> BoxFuture<Arc<S>> + Send + Sync>;
type Outage<S> = Box<dyn Fn(Arc<S>) -> BoxFuture<()> + Send + Sync>;
type Plant<S> = Box<dyn Fn(Arc<S>, String, Vec<u8>) -> BoxFuture<()> + Send + Sync>;

/// Tells the conformance suite how to get at a store.
///
/// With the constructor alone, most of the suite can run. What further hooks are needed for is left out without them,
/// is printed as `capability-absent: …`, and counted: see [`store_conformance!`](crate::store_conformance).
///
/// # Examples
///
/// ```
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::Subject;
///
/// // Every handle of a memory store is on the same data.
/// let subject = Subject::new(|| async { MemoryStore::new() }).with_sibling(|store| async { store });
/// # let _ = subject;
/// ```
pub struct Subject<S> {
    make: Make<S>,
    sibling: Option<Sibling<S>>,
    plant: Option<Plant<S>>,
    outage: Option<Outage<S>>,
}

impl<S: Store> Subject<S> {
    /// Makes a subject of a function that makes an *empty* store: another one at each call, for tests run side by side.
    pub fn new<F>(make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = S> + Send + 'static,
    {
        Self { make: Box::new(move || Box::pin(make())), sibling: None, plant: None, outage: None }
    }

    /// Tells how to open the data of a store a second time, as another process does.
    #[must_use]
    pub fn with_sibling<F>(mut self, sibling: impl Fn(Arc<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Arc<S>> + Send + 'static,
    {
        self.sibling = Some(Box::new(move |store| Box::pin(sibling(store))));
        self
    }

    /// Tells how to put any bytes under a flag's name into the data of a store, as a careless writer does.
    #[must_use]
    pub fn with_plant<F>(
        mut self,
        plant: impl Fn(Arc<S>, String, Vec<u8>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.plant = Some(Box::new(move |store, name, bytes| Box::pin(plant(store, name, bytes))));
        self
    }

    /// Tells how to make the backend of a store unreachable.
    #[must_use]
    pub fn with_outage<F>(mut self, outage: impl Fn(Arc<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.outage = Some(Box::new(move |store| Box::pin(outage(store))));
        self
    }

    /// Makes the backend of a store unreachable; returns whether it is known how.
    pub async fn outage(&self, store: &Arc<S>) -> bool {
        let Some(outage) = &self.outage else { return false };
        outage(Arc::clone(store)).await;
        true
    }

    /// Makes an empty store.
    pub async fn store(&self) -> Arc<S> {
        Arc::new((self.make)().await)
    }

    /// Opens the data of a store a second time, if it is known how.
    pub async fn sibling(&self, store: &Arc<S>) -> Option<Arc<S>> {
        Some(self.sibling.as_ref()?(Arc::clone(store)).await)
    }

    /// Puts bytes into the data of a store; returns whether it is known how.
    pub async fn plant(&self, store: &Arc<S>, name: FlagName<'_>, bytes: &[u8]) -> bool {
        let Some(plant) = &self.plant else { return false };
        plant(Arc::clone(store), name.as_str().to_owned(), bytes.to_vec()).await;
        true
    }
}

impl<S> fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("has_sibling", &self.sibling.is_some())
            .field("has_plant", &self.plant.is_some())
            .field("has_outage", &self.outage.is_some())
            .finish_non_exhaustive()
    }
}
