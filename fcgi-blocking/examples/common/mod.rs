//! What the examples share.
#![allow(dead_code, unused_imports)] // Each example uses a part.

use fcgi_blocking::{Endpoint, Listener};

mod program;

pub(crate) use program::{Address, Arguments, about, no_more, run};
