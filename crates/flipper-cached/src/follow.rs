//! The task that takes what the store's watch tells.

use std::sync::Arc;

use flipper_core::{BoxStream, Change, Error, ErrorKind, Store, Timestamp};
use futures_lite::StreamExt;

use crate::load::Parts;

pub(crate) fn follow<S: Store>(
    parts: Arc<Parts<S>>,
    mut watch: BoxStream<'static, Change>,
) -> impl Future<Output = ()> {
    // Also if it does not end by itself: a runtime that shuts down drops it, perhaps before it has run at all.
    let unfollowed = Unfollowed(parts);
    async move {
        while let Some(change) = watch.next().await {
            unfollowed.0.cache.hear(&change, Timestamp::now());
            // A watch that is always ready would leave no time to others.
            tokio::task::coop::consume_budget().await;
        }
    }
}

struct Unfollowed<S: Store>(Arc<Parts<S>>);

impl<S: Store> Drop for Unfollowed<S> {
    fn drop(&mut self) {
        let error = Error::new(ErrorKind::Unavailable, "the store is followed no more");
        self.0.cache.set_unfollowed(&error, Timestamp::now());
    }
}
