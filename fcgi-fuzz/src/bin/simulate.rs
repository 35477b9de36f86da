//! Lives whole connections, thousands a second, each from a seed that replays it.
//!
//! `simulate [--seeds N] [--seed S] [--tries T]`

use std::process::ExitCode;
use std::time::Instant;

use fcgi_fuzz::simulation::{Coverage, DECISIONS, live};
use lexopt::prelude::*;

/// The first seed, how many, and lives that a failure may take to be made short.
fn options() -> Result<Option<(u64, u64, usize)>, lexopt::Error> {
    let (mut seed, mut seeds, mut tries) = (None, None, 2000);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seed") => seed = Some(parser.value()?.parse()?),
            Long("seeds") => seeds = Some(parser.value()?.parse()?),
            Long("tries") => tries = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    let count = seeds.unwrap_or(if seed.is_some() { 1 } else { 10_000 });
    Ok(Some((seed.unwrap_or(0), count, tries)))
}

fn main() -> ExitCode {
    let (first, count, tries) = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!(
                "simulate [--seeds N] [--seed S] [--tries T]: N lives, from seed S or 0 on; with S alone, that life"
            );
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("simulate: {error}");
            return ExitCode::from(2);
        }
    };
    // A failure is told when it is short.
    std::panic::set_hook(Box::new(|_| {}));
    let (began, mut coverage) = (Instant::now(), Coverage::default());
    for seed in first..first.saturating_add(count) {
        let lived = live(seed, &mut coverage, tries);
        // The same choices are the same life.
        let again = if seed % 64 == 0 { live(seed, &mut Coverage::default(), 0).ok() } else { None };
        let what = match lived {
            Ok(trace) if again.is_none_or(|again| again == trace) => continue,
            Ok(_) => "[same bytes] the seed has two lives".to_owned(),
            Err(failure) => format!("{}\nchoices: {}", failure.what, hex(&failure.choices)),
        };
        println!("seed {seed} fails after {} lives, {:.1?}: {what}", seed - first + 1, began.elapsed());
        return ExitCode::FAILURE;
    }
    let taken = began.elapsed();
    println!("{count} lives in {taken:.1?}, {:.0} a second", count as f64 / taken.as_secs_f64());
    let mut missing = 0;
    for (decision, times) in coverage.counts() {
        println!("{times:>12}  {decision}");
        missing += u32::from(times == 0);
    }
    println!("{} of {} decisions taken", DECISIONS.len() - missing as usize, DECISIONS.len());
    ExitCode::SUCCESS
}

/// Choices as they are written in a file.
fn hex(choices: &[u8]) -> String {
    choices.iter().map(|choice| format!("{choice:02x}")).collect()
}
