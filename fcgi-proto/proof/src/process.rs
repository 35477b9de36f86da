//! The initial process state.

use core::hint::black_box as any;

use fcgi_proto::process;

use crate::text;

#[inline(never)]
pub fn peers() {
    match any(process::WebServerAddrs::parse(any(""))) {
        Ok(addrs) => _ = any(process::WebServerAddrs::allows(&addrs, any(None))),
        Err(error) => text::<process::WebServerAddrsError>(error),
    }
}
