#![no_std]
//! FastCGI core.
