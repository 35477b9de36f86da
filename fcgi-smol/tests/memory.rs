//! Memory that one client may have a server keep.
#![cfg(target_os = "linux")]

mod support;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fcgi_proto::record::RecordType;
use fcgi_smol::serve_stream;
use smol::LocalExecutor;
use smol::io::{AsyncRead, AsyncWrite};
use support::{Settings, in_time, record, uri};

/// What the client has taken in the end.
const ALL: usize = 8 << 20;

/// Always asks, and takes what is offered but for a byte: never all of it.
struct Asker {
    taken: usize,
}

impl AsyncRead for Asker {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.taken > ALL {
            return Poll::Ready(Ok(0));
        }
        let question = record(RecordType::GetValues, 0, &[]);
        let count = into.len().min(4096) / question.len() * question.len();
        into[..count].chunks_mut(question.len()).for_each(|part| part.copy_from_slice(&question));
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Asker {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let count = if self.taken > ALL { data.len() } else { data.len() - 1 };
        if count == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.taken += count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The most memory that the process ever had, in KiB. Linux counts it a little inexactly: a later reading may be less
/// than an earlier one.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn output_that_was_sent_is_given_back_though_some_always_waits() {
    let before = most_memory();
    let executor = LocalExecutor::new();
    let settings = Settings::default();
    let serve = serve_stream(Asker { taken: 0 }, &settings, &executor, uri);
    in_time(executor.run(serve)).expect("it ends in good order");
    let more = most_memory().saturating_sub(before);
    assert!(more < 4 << 10, "{more} KiB more for {ALL} bytes of output");
}
