//! A listing that is there already, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// Makes a stream of what is there already, for a store whose listing needs no waiting.
///
/// ```
/// use flipper_core::{BoxStream, store};
///
/// let numbers: BoxStream<'static, i32> = Box::pin(store::iter([1, 2, 3]));
/// ```
pub fn iter<I>(items: I) -> Iter<I::IntoIter>
where
    I: IntoIterator<IntoIter: Unpin>,
{
    Iter(items.into_iter())
}

/// The stream of [`iter`].
///
/// # Examples
///
/// ```
/// use flipper_core::store::{self, Iter};
/// use futures_lite::{StreamExt, future};
///
/// let numbers: Iter<_> = store::iter([1, 2]);
/// assert_eq!(future::block_on(numbers.collect::<Vec<_>>()), [1, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Iter<I>(I);

impl<I: Iterator + Unpin> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
