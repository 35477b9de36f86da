//! Sleep while no task of embassy's executor has anything to do.
//!
//! The executor has WFE for this, and on a board that is enough. QEMU goes on at once after a WFE, round and round, and
//! the board's clock with it goes wrong; it sleeps at a WFI.

use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::asm::wfi;
use embassy_futures::yield_now;

/// How often a task was polled.
static POLLS: AtomicU32 = AtomicU32::new(0);

/// Keeps the processor awake while `future` has something to do. All tasks but [`idle`] are this.
pub async fn busy<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| {
        POLLS.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}

/// Waits for the next interrupt, at most a tick, whenever all tasks wait.
pub async fn idle() -> ! {
    loop {
        let polls = POLLS.load(Ordering::Relaxed);
        yield_now().await;
        if POLLS.load(Ordering::Relaxed) == polls {
            wfi();
        }
    }
}
