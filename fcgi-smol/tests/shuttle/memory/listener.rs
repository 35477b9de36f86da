//! What a server accepts connections on.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

use fcgi_blocking::{Endpoint, Peer};

use super::End;
use crate::net::sync::{Arc, Mutex, lock};
use crate::net::transport::{Plain, Transport};

shuttle::lazy_static! {
    pub(super) static ref LISTENING: std::sync::Mutex<BTreeMap<String, Arc<Queue>>> = Default::default();
}

/// Connections that nobody has accepted, and who waits for one.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) room: usize,
    waiting: Mutex<(VecDeque<End>, Option<Waker>)>,
}

impl Queue {
    pub(super) fn push(&self, end: End) {
        let mut queue = lock(&self.waiting);
        queue.0.push_back(end);
        let waker = queue.1.take();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listening {
    name: String,
    queue: Arc<Queue>,
}

/// Listens for connections that hold so many bytes on their way.
pub fn listen(endpoint: &Endpoint, room: usize) -> Listening {
    let (name, queue) = (endpoint.to_string(), Arc::new(Queue { room, waiting: Mutex::default() }));
    LISTENING.lock().expect("it is not poisoned").insert(name.clone(), Arc::clone(&queue));
    Listening { name, queue }
}

impl Listening {
    async fn next<T>(&self, mut take: impl FnMut(&mut VecDeque<End>) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut queue = lock(&self.queue.waiting);
            let taken = take(&mut queue.0);
            if taken.is_none() {
                queue.1 = Some(cx.waker().clone());
            }
            taken.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// For an application of the test's own.
    pub fn accept(&self) -> End {
        shuttle::future::block_on(self.next(VecDeque::pop_front))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.lock().expect("it is not poisoned").remove(&self.name);
        // Those that nobody accepts are closed.
        let left = std::mem::take(&mut lock(&self.queue.waiting).0);
        drop(left);
    }
}

pub trait IntoSocket: sealed::Sealed {}

impl IntoSocket for Listening {}

pub(crate) mod sealed {
    use super::{Listening, Socket, io};

    pub trait Sealed {
        fn into_socket(self) -> io::Result<Socket>;
    }

    impl Sealed for Listening {
        fn into_socket(self) -> io::Result<Socket> {
            Ok(Socket(self))
        }
    }
}

#[derive(Debug)]
pub struct Socket(Listening);

impl Socket {
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.next(|queue| queue.front().map(drop)).await;
        Ok(())
    }

    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Transport>, Peer)> {
        let end = self.0.next(VecDeque::pop_front).await;
        Ok((Box::new(Plain(end)), Peer(None)))
    }
}
