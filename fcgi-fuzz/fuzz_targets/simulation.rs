//! [`fcgi_fuzz::simulation`] under libFuzzer, or once with each of the files that are its arguments.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fcgi_fuzz::simulation(input));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    fcgi_fuzz::replay(fcgi_fuzz::simulation)
}
