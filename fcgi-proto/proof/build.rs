//! The linker script is cortex-m-rt's.

fn main() {
    println!("cargo::rustc-link-arg=-Tlink.x");
    println!("cargo::rerun-if-changed=memory.x");
}
