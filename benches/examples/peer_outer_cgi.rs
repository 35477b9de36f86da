//! The server that every peer is measured as, in outer_cgi, which takes its address from the command line:
//! what it inherits it serves one connection of at a time.

use benches::request::{BODY, HEAD};

fn main() {
    outer_cgi::main(
        |_| {},
        |io, _| {
            io.write_all(HEAD)?;
            io.write_all(&BODY)?;
            Ok(0)
        },
    )
}
