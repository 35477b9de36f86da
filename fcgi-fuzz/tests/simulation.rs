//! Twenty thousand seeds, and every one that once failed: see [`fcgi_fuzz::simulation`].

use std::fs;
use std::thread;

use fcgi_fuzz::simulation::{Coverage, live};

/// Lives that a failure may take to be made short.
const TRIES: usize = 500;

/// Lives the lives of these seeds, in as many threads as there are, and returns what was decided.
fn live_all(seeds: &[u64]) -> Coverage {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut all = Coverage::default();
    thread::scope(|scope| {
        let parts: Vec<_> = seeds
            .chunks(seeds.len().div_ceil(threads).max(1))
            .map(|seeds| {
                scope.spawn(move || {
                    let mut coverage = Coverage::default();
                    for seed in seeds {
                        if let Err(failure) = live(*seed, &mut coverage, TRIES) {
                            panic!("seed {seed}: {}\nchoices: {:02x?}", failure.what, failure.choices);
                        }
                    }
                    coverage
                })
            })
            .collect();
        for part in parts {
            all.add(&part.join().expect("every seed lives"));
        }
    });
    all
}

#[test]
fn twenty_thousand_lives_go_well_and_take_every_decision() {
    let coverage = live_all(&(0..20_000).collect::<Vec<_>>());
    let missing: Vec<_> = coverage.counts().filter(|(_, times)| *times == 0).collect();
    assert!(missing.is_empty(), "never decided: {missing:?}");
}

#[test]
fn every_seed_that_once_failed_goes_well() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds");
    let text = fs::read_to_string(file).expect("a file of seeds");
    let seeds: Vec<u64> = text
        .lines()
        .filter_map(|line| line.split('#').next().map(str::trim).filter(|seed| !seed.is_empty()))
        .map(|seed| seed.parse().expect("a seed is a number"))
        .collect();
    assert!(!seeds.is_empty());
    live_all(&seeds);
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..500 {
        let trace = |()| live(seed, &mut Coverage::default(), 0).map_err(|failure| failure.what);
        assert_eq!(trace(()), trace(()), "seed {seed}");
    }
}
