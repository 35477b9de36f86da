//! Whole lives of connections in one thread: the sessions of both sides, the transport between them, handlers, those
//! who ask, and the clock, each with choices that a seed or a fuzzer makes. The same choices are the same life.
//!
//! What must hold is told by a model of its own in `model` and `limits`, which has no code of the core.

mod choices;
mod client;
mod coverage;
mod handlers;
mod life;
mod limits;
mod model;
mod peer;
mod plan;
mod server;
mod shrinking;
mod sides;
mod transport;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::choices::Choices;
pub use self::coverage::{Coverage, DECISIONS};

/// The fuzz target: the bytes are the choices.
///
/// # Panics
/// Where an oracle is contradicted.
pub fn simulation(bytes: &[u8]) {
    life::live(Choices::of_bytes(bytes));
}

/// The choices of a seed's life, an input for the target, and what it decided.
///
/// # Panics
/// Where an oracle is contradicted.
#[must_use]
pub fn choices(seed: u64) -> (Vec<u8>, Coverage) {
    let lived = life::live(Choices::of_seed(seed));
    (lived.choices.made().to_vec(), lived.coverage)
}

/// A life that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was contradicted: the oracle in brackets, and how.
    pub what: String,
    /// The choices that led there, in their shortest form as far as was tried.
    pub choices: Vec<u8>,
}

/// Lives the life of a seed, adds what it decided, and returns its trace: the same for the same seed.
///
/// # Errors
/// [`Failure`], made short with at most so many `tries`.
pub fn live(seed: u64, coverage: &mut Coverage, tries: usize) -> Result<u64, Failure> {
    let what = match catch(|| life::live(Choices::of_seed(seed))) {
        Ok(lived) => {
            coverage.add(&lived.coverage);
            return Ok(lived.trace);
        }
        Err(what) => what,
    };
    // The choices are lost with the life: it takes all that it could.
    let mut choices = Choices::of_seed(seed);
    while !choices.are_over() {
        choices.below(256);
    }
    let oracle = |what: &str| what.split(']').next().map(str::to_owned);
    let wanted = oracle(&what);
    let fails = |bytes: &[u8]| {
        catch(|| life::live(Choices::of_bytes(bytes))).err().is_some_and(|what| oracle(&what) == wanted)
    };
    let choices = shrinking::shrink(choices.made().to_vec(), tries, fails);
    let what = catch(|| life::live(Choices::of_bytes(&choices))).err().unwrap_or(what);
    Err(Failure { what, choices })
}

/// What a panic said.
fn catch<T>(life: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(life)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_owned()
    })
}
