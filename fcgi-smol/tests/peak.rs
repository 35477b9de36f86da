//! What a server gives back to the allocator after a peak. What that gives back to the system is its own affair:
//! glibc's keeps what lies below anything that is still in use.
#![cfg(target_os = "linux")]

mod support;

use std::alloc::System;

use cap::Cap;
use fcgi_smol::{BoxError, Request, Status};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::io::AsyncWriteExt;
use support::skipped::skipped;
use support::{Call, Client, Running, Settings, wait_until};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const COUNT: usize = 2000;
const LEFT: usize = 10 << 20;

/// Twenty megabytes.
async fn large(request: Request) -> Result<(), BoxError> {
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..320 {
        page.write_all(&chunk).await?;
    }
    Ok(())
}

fn asked(server: &Running) -> Client {
    let mut client = server.connect();
    client.send(Call::get("/").bytes());
    client
}

#[test]
fn two_thousand_large_answers_that_nobody_read_leave_no_memory_taken() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("up to the maximum");
    if most.is_some_and(|most| most < 2 * COUNT as u64 + 100) {
        return skipped(format_args!("{} descriptors are more than this system's limit", 2 * COUNT));
    }
    let server = Running::unix(Settings::default(), large);
    drop((0..100).map(|_| asked(&server)).collect::<Vec<_>>());
    let before = ALLOCATOR.allocated();
    let mut clients: Vec<Client> = (0..COUNT).map(|_| asked(&server)).collect();
    for client in &mut clients {
        client.record(); // The answer has begun.
    }
    let most = ALLOCATOR.allocated();
    assert!(most > before + COUNT * (64 << 10), "{before} bytes before, {most} with {COUNT} answers");
    drop(clients);
    let left = wait_until(|| ALLOCATOR.allocated() <= before + LEFT);
    assert!(left, "{before} bytes before, {most} with all, {}", ALLOCATOR.allocated());
    drop(server);
}
