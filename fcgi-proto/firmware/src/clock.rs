//! Milliseconds since reset, from the SysTick timer; each of its ticks also looks at the stack.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use cortex_m::peripheral::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::register::msp;

/// The processor's frequency after reset: QEMU's. A real LM3S6965 has an oscillator of 12 MHz ± 30 % then.
pub const CLOCK_HZ: u32 = 12_500_000;

static TICKS: AtomicU32 = AtomicU32::new(0);
static FREE_STACK: AtomicU32 = AtomicU32::new(u32::MAX);

/// Counts a millisecond: what a program's exception `SysTick` is to do.
pub fn tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
    let statics_end = cortex_m_rt::heap_start() as u32;
    FREE_STACK.fetch_min(msp::read().saturating_sub(statics_end), Ordering::Relaxed);
}

/// The least bytes between the stack and the static memory that a tick found.
#[must_use]
pub fn free_stack() -> u32 {
    FREE_STACK.load(Ordering::Relaxed)
}

/// Starts the timer; to be called once.
pub fn start() {
    if let Some(Peripherals { SYST: mut timer, .. }) = Peripherals::take() {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(CLOCK_HZ / 1000 - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
    }
}

/// Counts milliseconds.
pub struct Clock {
    ticks: Cell<u32>,
    now: Cell<Duration>,
}

impl Clock {
    /// Starts the timer; to be called once.
    #[must_use]
    pub fn start() -> Self {
        start();
        Self { ticks: Cell::new(0), now: Cell::new(Duration::ZERO) }
    }

    /// The time since the start; to be asked at least every 49 days.
    pub fn now(&self) -> Duration {
        let ticks = TICKS.load(Ordering::Relaxed);
        let millis = ticks.wrapping_sub(self.ticks.replace(ticks));
        // Two parts, for a division of 64 bits takes long.
        let passed = Duration::new(u64::from(millis / 1000), millis % 1000 * 1_000_000);
        self.now.set(self.now.get().saturating_add(passed));
        self.now.get()
    }
}
