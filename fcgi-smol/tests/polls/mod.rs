//! Futures that are polled together, or a few times only.
#![allow(dead_code)] // Each file of tests uses a part.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// The result of `future` if it is there after that many polls; else it is dropped.
pub(crate) async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut count = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => {
            count += 1;
            if count >= polls { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Waits for all of them, in one task.
pub(crate) async fn together<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
