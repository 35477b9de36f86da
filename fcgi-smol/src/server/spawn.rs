use std::rc::Rc;
use std::sync::Arc;

use smol::{Executor, LocalExecutor};

/// An executor: runs futures as tasks.
///
/// smol's `Executor` runs those that are `Send`, its `LocalExecutor` any; references to them, `Arc` and `Rc`
/// of them do the same. With the feature `tokio`, a `tokio::runtime::Handle` runs those that are `Send`, and what needs
/// tokio's runtime works in them. Another runtime's handle needs this one method.
pub trait Spawn<F> {
    /// Runs `future` to its end, in the background.
    fn spawn_detached(&self, future: F);
}

impl<'a, F> Spawn<F> for Executor<'a>
where
    F: Future<Output = ()> + Send + 'a,
{
    fn spawn_detached(&self, future: F) {
        Executor::spawn(self, future).detach();
    }
}

impl<'a, F> Spawn<F> for LocalExecutor<'a>
where
    F: Future<Output = ()> + 'a,
{
    fn spawn_detached(&self, future: F) {
        LocalExecutor::spawn(self, future).detach();
    }
}

#[cfg(feature = "tokio")]
impl<F> Spawn<F> for tokio::runtime::Handle
where
    F: Future<Output = ()> + Send + 'static,
{
    fn spawn_detached(&self, future: F) {
        drop(tokio::runtime::Handle::spawn(self, future));
    }
}

impl<F, E: Spawn<F> + ?Sized> Spawn<F> for &E {
    fn spawn_detached(&self, future: F) {
        E::spawn_detached(self, future);
    }
}

impl<F, E: Spawn<F> + ?Sized> Spawn<F> for Arc<E> {
    fn spawn_detached(&self, future: F) {
        E::spawn_detached(self, future);
    }
}

impl<F, E: Spawn<F> + ?Sized> Spawn<F> for Rc<E> {
    fn spawn_detached(&self, future: F) {
        E::spawn_detached(self, future);
    }
}
