//! The server that every peer is measured as, in fastcgi, on a listening socket on descriptor 0.

use std::io::Write;

use benches::request::{BODY, HEAD};

fn main() {
    let page = [HEAD, &BODY].concat();
    fastcgi::run(move |mut request| {
        let written = request.stdout().write_all(&page);
        request.exit(i32::from(written.is_err()));
    });
}
