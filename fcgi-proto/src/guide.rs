//! How to build a server of your own: on a runtime, an event loop, threads, a microcontroller.
//!
//! You know Rust; of FastCGI you need to know nothing yet. There is no code in this module. All code on this page
//! compiles, and is the example `guide` in the crate's repository.
//!
//! 1. [How a connection lives](#how-a-connection-lives)
//! 2. [A connection without its socket](#a-connection-without-its-socket)
//! 3. [The loop](#the-loop)
//! 4. [What the session asks, and what you do](#what-the-session-asks-and-what-you-do)
//! 5. [Writing an answer](#writing-an-answer)
//! 6. [Sizes](#sizes): buffers, slots, what `N` costs
//! 7. [Time](#time)
//! 8. [Limits](#limits)
//! 9. [Many requests at once](#many-requests-at-once)
//! 10. [How things end](#how-things-end): drain, abort, errors, ids used again
//! 11. [Shutting down](#shutting-down)
//! 12. [Testing what you built](#testing-what-you-built)
//! 13. [Behind nginx](#behind-nginx)
//! 14. [Where to go from here](#where-to-go-from-here)
//!
//! # How a connection lives
//!
//! A web server, which is the *client* here, connects to your program, the *server*. It sends *records*: a header of 8
//! bytes, then up to 65,535 bytes of content. A request is a few records:
//!
//! ```text
//! client                                        server
//! BEGIN_REQUEST   "request 1, please respond"
//! PARAMS          names and values: REQUEST_METHOD, REQUEST_URI, …
//! PARAMS          (empty: that was all)
//! STDIN           what the browser posted
//! STDIN           (empty: that was all)
//!                                               STDOUT        "Status: 200 OK", …, a blank line, the page
//!                                               STDOUT        (empty)
//!                                               END_REQUEST
//! ```
//!
//! Then the connection carries its next request, or is closed, as BEGIN_REQUEST said. You do not have to make any of
//! these records. A [`Session`](crate::server::Session) does: it is told what came and what time it is, and tells you
//! what is to be done. It has no socket, no clock and no thread. Those are yours.
//!
//! # A connection without its socket
//!
//! Start with a type that has all but the socket: the session, what is to be sent, and your handler. This one keeps a
//! body until its handler takes it, and answers how long it was. It needs the feature `std`, or `alloc`:
//! `fcgi-proto = { version = "0.1", features = ["std"] }`.
//!
//! ```
#![doc = include_str!("../examples/guide/connection.rs")]
//! ```
//!
//! - [`take_in`](crate::server::Session::take_in) gathers a request's parameters in an
//!   [`Exchange`](crate::server::session::Exchange), and tells you when the request is to be handled. The parameters
//!   are in `exchange.params`: `exchange.params.get(b"REQUEST_URI")`.
//! - A handler that has to wait *asks again*. It is a state here. On an async runtime it is a future that is woken.
//! - Where a connection carries several requests, a `Vec<Option<Exchange>>` keeps their exchanges, by
//!   [`slot`](crate::server::session::Request::slot). At `Start` the handler may take its own out:
//!   `exchanges[request.slot()].take()`.
//! - [`finish_answer`](crate::server::Session::finish_answer) says that the handler is done.
//!   [`end_into`](crate::server::Session::end_into) then gives what ends the request, as soon as that may leave.
//!
//! Without an allocator use [`receive`](crate::server::Session::receive), [`stdout`](crate::server::Session::stdout) and
//! [`end`](crate::server::Session::end), as the [front page](crate#driving-it) does.
//!
//! # The loop
//!
//! The loop asks the session what it wants, does that, and tells the session what became of it. This one is for a
//! thread and a socket that blocks.
//!
//! ```
//! # mod connection { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guide/connection.rs")); }
//! # mod serve {
#![doc = include_str!("../examples/guide/serve.rs")]
//! # }
//! # fn main() {}
//! ```
//!
//! A loop that waits for several things at once does all that is wanted: it reads *and* writes. It has to, if answers
//! are larger than a socket's buffer: a client may stop reading while it sends.
//!
//! # What the session asks, and what you do
//!
//! [`next`](crate::server::Session::next) tells what is wanted of the transport:
//!
//! | [`Next`](crate::Next) | you do | then you say |
//! |---|---|---|
//! | `close` | drop the socket. Nothing else is wanted then | |
//! | `write` | send what is in `out`, as much as the socket takes | [`sent(count, now)`](crate::server::Session::sent), or [`unwritable()`](crate::server::Session::unwritable) if it failed |
//! | `shutdown` | end the direction to the client, TCP's FIN | [`shut(now)`](crate::server::Session::shut); where the transport cannot do that, or it failed, [`end_of_input()`](crate::server::Session::end_of_input) |
//! | `read` | read, and hand in what came | nothing; at the end [`end_of_input()`](crate::server::Session::end_of_input), after an error [`broken()`](crate::server::Session::broken) |
//! | `at` | wait no longer than until then | [`expire(now)`](crate::server::Session::expire) |
//!
//! `receive` and `take_in` tell what concerns a request. Call them until they say `None`: after each read, and
//! after every other call, with the bytes that are left or with none.
//!
//! | [`Input`](crate::server::session::Input) | you do |
//! |---|---|
//! | `Begin`, `Params` | with `take_in`: nothing, it does that. Else keep the parameters |
//! | `Start` | run the handler |
//! | `Body` | keep what you have room for, and say how much that was: [`took`](crate::server::Session::took) or [`keep_into`](crate::server::Session::keep_into). The rest stays at the front of the input |
//! | `Look` | the handler may go on: have it ask again. It is no promise; it may have to wait once more |
//! | `Over` | forget the request. Its handler was not run |
//!
//! **Bytes that are not taken** stay yours. Hand them in again, before what you read next. While nobody has room for
//! them `read` is false.
//!
//! **Replies.** `write` is wanted for what the session itself has to say, too. Put that into `out` with
//! [`output_into`](crate::server::Session::output_into) before you ask `next`.
//!
//! **When nothing is wanted**, leave the socket out of what you wait for. poll(2) and epoll tell of errors and of a
//! client that has left even if you ask for nothing, so a loop that waits for the socket would spin. Take such a tell
//! for what you asked for: read or write, and hand in what that says.
//!
//! The order of calls is free, and each is right at any time. A call for a request that is over says
//! [`Stopped::Over`](crate::server::session::Stopped::Over). After a call, ask `next` again: it may want something else
//! than before. On an async runtime that means: a handler that called the session wakes the connection's task.
//!
//! # Writing an answer
//!
//! An answer is what a CGI program writes: header lines, a blank line, a body. `Status: 404 Not Found` is a header line;
//! without one it is 200. [`Answer`](crate::cgi::Answer) checks the head, puts it in order and sends it in one piece.
//!
//! **A web server may stop sending a body at the first byte of the answer.** nginx does. So an answer waits in memory
//! until the request's body is in: up to a head and 8 KiB of page are taken at once, and then
//! [`write`](crate::server::Session::write) says to wait. Meanwhile the body has to go somewhere, or nothing moves: a
//! `Body` with `spool: true` says that what waits behind it cannot go on. Take it to disk, or into more memory than you
//! would otherwise. If you have no room, take nothing. The answer leaves then, and what the web server does with the
//! rest of the body is its own decision. nginx sends no more of it: a handler that wants to read on fails after
//! [`Patience::read`](crate::server::session::Patience::read), with
//! [`Stopped::TimedOut`](crate::server::session::Stopped::TimedOut). So a handler that echoes needs room for all that it
//! is sent.
//!
//! [`flush`](crate::server::Session::flush) lets the answer go before the body is in, for an event stream for example.
//! It ends a head that was made field by field, so it needs no
//! [`end_fields`](crate::cgi::Answer::end_fields) before.
//!
//! **Back-pressure.** No record is made while bytes that were handed out have not left. `write` says to wait, and a
//! `Look` follows the last `sent`. Requests that share a connection take turns. A request's input that is not taken
//! holds up what is behind it on the same connection: FastCGI has one stream of bytes for all of them. So the room for
//! a body is a question of fairness, and 64 KiB for each request is a good start.
//!
//! # Sizes
//!
//! - **The read buffer** may have any size. With 64 KiB a whole record fits; with 512 bytes everything works too. It is
//!   one for each connection that has unread bytes in it, not for each that is open: an idle connection needs none.
//! - **Parameters**: a browser's cookies alone may take 8 KiB. 16 KiB is enough behind most web servers;
//!   [`Selected`](crate::pair::Selected) keeps a few names in little memory. An
//!   [`Exchange`](crate::server::session::Exchange) copies them, unless it leaves them
//!   [in place](crate::server::session::Exchange::in_place): the handler has the read buffer then, until it is done.
//! - **`N`** is how many requests a connection carries at once. A `Session<1>` takes less than 400 bytes on a 64-bit
//!   machine, and each further request at most 64 more, whether it is used or not. `Session::growing` has them in a
//!   `Vec` that grows: its type is `Session<N, Vec<Life>>`. A request is found by its id without a search. Only calls that
//!   concern all requests look at all of them: the end of input, a time that has come.
//! - nginx, Apache, lighttpd and Caddy send one request at a time on a connection: `N = 1` is enough. HAProxy sends more
//!   if it is told to, and begins a request before it has seen the end of the one before: have half as many slots again
//!   as you announce with [`Limits::max_reqs`](crate::Limits::max_reqs).
//!
//! # Time
//!
//! `now` is the time since any fixed moment, the same for all calls of a session. It must not go back. Every wait that
//! can be a peer's fault has a limit in [`Patience`](crate::server::session::Patience), and `Next::at` is the earliest of
//! them. You need one timer for a connection, or one for all with a sorted set. There is no other wait that needs one:
//! not the drain, not the write, not a handler that waits for a body. Calling `expire` too early or too often costs a
//! comparison. Calling it late makes a limit longer. So read and hand in first what came meanwhile: else a client pays
//! for a thread that was busy. Only the least rate of a body counts that time all the same.
//!
//! A session has no limit for how long a handler takes. That is yours.
//!
//! # Limits
//!
//! [`Limits`](crate::Limits) bounds what a client can make you keep or read. `params` is the one to set with your memory
//! in mind. Connections are counted by you: let the listener wait while there are too many, or too few descriptors, and
//! say how many you take in `max_conns`. Or make room: of the connections that wait for a request, which
//! [`waiting`](crate::server::Session::waiting) tells, have the longest one
//! [`leave`](crate::server::Session::leave).
//! A request that you have no room for is [refused](crate::server::Session::refuse_full), which is an answer of 503.
//!
//! # Many requests at once
//!
//! [`Request`](crate::server::session::Request) is a key. Its [`slot`](crate::server::session::Request::slot) is below `N`,
//! and no two requests that run have the same: a `Vec` by slots is all the table you need. The key itself tells a
//! request from the next one in its slot. So a late handler that still writes gets
//! [`Stopped::Over`](crate::server::session::Stopped::Over), and never reaches another request, even one with the same id.
//! [`alive`](crate::server::Session::alive) tells all that run.
//!
//! # How things end
//!
//! - **A handler that has not read its body.** The session reads the rest and throws it away, and only then ends the
//!   request: on a connection that is kept, before END_REQUEST; on one that closes, after it, when this side has ended
//!   its direction. Both end after [`Patience::drain`](crate::server::session::Patience::drain), after `drain_limit`
//!   bytes, or after a pause of 150 ms. You do nothing but go on with the loop: no `Body` comes for a handler that is
//!   done.
//! - **An abort.** The browser has left, and the web server says so. The next `read` of the handler fails with
//!   [`Stopped::Aborted`](crate::server::session::Stopped::Aborted), and
//!   [`is_gone`](crate::server::Session::is_gone) is true. What is still written is thrown away. Nothing more comes for
//!   the request but a `Look`. It is over when its handler is done and `end` was sent. Most web servers close the
//!   connection instead.
//! - **The end of input.** A request whose input is whole is answered. One that is cut in its parameters is `Over`. One
//!   that is cut in its body runs: its `read` fails with
//!   [`Stopped::Closed`](crate::server::session::Stopped::Closed), and it may still answer.
//! - **An error.** What came is not FastCGI. It is as with the end of input: what can be answered is, then the
//!   connection closes. [`poll_report`](crate::server::Session::poll_report) has a line for your log.
//! - **A write that failed.** Nothing more is sent. Handlers fail with
//!   [`Stopped::Broken`](crate::server::session::Stopped::Broken), and when all are done `next` says `close`.
//! - **An id is used again** as soon as END_REQUEST was handed out. You see a new key.
//!
//! # Idle connections
//!
//! `next.at` says until when a connection may be idle, and a thread that waits in a read sets that as the read's limit.
//! If that costs too much, look after all connections in one place instead. Ask
//! [`waiting`](crate::server::Session::waiting) before a read: it says [until](crate::server::session::Waiting::until)
//! when the connection may wait, if its wait begins with this read; else keep to `next.at`. When that time is up and
//! nothing waits to be read, shut its input down, and its thread calls
//! [`leave(Leave::Idle, now)`](crate::server::Session::leave).
//!
//! # Shutting down
//!
//! Stop accepting. Call [`leave(Leave::Shutdown, now)`](crate::server::Session::leave) on every session, and go on with
//! the loops until each says `close`. What runs is finished, and a request that is on its way at that moment is still
//! answered. After [`Patience::shutdown`](crate::server::session::Patience::shutdown) what is left is cut off. Requests
//! that begin too late are refused with a 503, which a web server may take as a reason to ask elsewhere.
//!
//! # Testing what you built
//!
//! Let a session of the other side talk to it, in memory. Cut the bytes anywhere: nothing may change.
//!
//! ```
//! # mod connection { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guide/connection.rs")); }
//! use connection::Connection;
//! use core::time::Duration;
//! use fcgi_proto::client::{Ask, Input, Session, Settings};
//!
//! fn answer(body: &[u8], cut: usize) -> Vec<u8> {
//!     let now = Duration::ZERO;
//!     let mut client = Session::<1>::new(Settings::new());
//!     let mut server = Connection::new();
//!     let (mut ask, mut to_server, mut page) = (Ask::new(b"POST"), Vec::new(), Vec::new());
//!     ask.stdin = body.len() as u64;
//!     let params = [(&b"REQUEST_METHOD"[..], &b"POST"[..])];
//!     let request = client.begin_with(ask, params.into_iter(), &mut to_server, now).unwrap();
//!     let (piece, _) = client.write(request, body, now).unwrap();
//!     to_server.extend(piece.slices().concat());
//!     for bytes in to_server.chunks(cut) {
//!         assert_eq!(server.take_in(bytes, now), bytes.len());
//!     }
//!     for bytes in server.out.chunks(cut) {
//!         let mut bytes = bytes;
//!         while let Some(came) = client.receive(&mut bytes, now) {
//!             if let Input::Stdout { data, .. } = came {
//!                 page.extend_from_slice(data);
//!             }
//!         }
//!     }
//!     assert!(client.poll(request, now).unwrap().is_some(), "it has ended");
//!     page
//! }
//!
//! let page = answer(b"0123456789", usize::MAX);
//! assert_eq!(page, b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n10 bytes\n");
//! assert_eq!(answer(b"0123456789", 1), page);
//! ```
//!
//! Time is a number. A test of your limits hands in a later one:
//!
//! ```
//! # mod connection { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guide/connection.rs")); }
//! # use connection::Connection;
//! # use core::time::Duration;
//! let mut server = Connection::new();
//! let next = server.session.next(Duration::ZERO);
//! assert!(next.read);
//! let idle = next.at.expect("an idle connection is not waited for for ever");
//! server.session.expire(idle);
//! assert!(server.session.next(idle).close);
//! ```
//!
//! A conversation that you recorded, with `socat -x` or from a packet capture, is a test too. This is what a web server
//! sends for a GET request on a connection that it does not keep:
//!
//! ```
//! # mod connection { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guide/connection.rs")); }
//! # use connection::Connection;
//! # use core::time::Duration;
//! const RECORDED: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\
//!     \x01\x04\0\x01\0\x13\x05\0\x0e\x03REQUEST_METHODGET\0\0\0\0\0\
//!     \x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0";
//! let mut server = Connection::new();
//! server.take_in(RECORDED, Duration::ZERO);
//! assert!(server.out.ends_with(b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0")); // END_REQUEST
//! server.session.sent(server.out.len(), Duration::ZERO);
//! assert!(server.session.next(Duration::ZERO).shutdown);
//! ```
//!
//! # Behind nginx
//!
//! ```nginx
//! location / {
//!     include fastcgi_params;
//!     fastcgi_pass 127.0.0.1:9000;
//! }
//! ```
//!
//! What to try, since it is what goes wrong most:
//!
//! - `curl --data-binary @1MiB.bin` to a page that does not read it: the answer has to come, at once.
//! - `curl` that is ended in the middle of an upload, and of a download: the next request is answered.
//! - `fastcgi_request_buffering off;`, and the same again.
//! - `fastcgi_keep_conn on;` with `keepalive 8;` in an `upstream`: many requests, few connections.
//! - End your program while requests run.
//!
//! # Where to go from here
//!
//! The crate's repository has servers on [tokio], [mio], [io_uring] and [embedded-io-async], of one file each, and a
//! [client on tokio]. They are run behind nginx. The crates `fcgi-blocking` and `fcgi-smol` are servers and clients
//! that are ready to use.
//!
//! A client of your own, before applications such as php-fpm, is built the same way: see
//! [`client::session`](crate::client::Session).
//!
//! [tokio]: https://docs.rs/crate/fcgi-proto/latest/source/examples/tokio_server.rs
//! [mio]: https://docs.rs/crate/fcgi-proto/latest/source/examples/mio_server.rs
//! [io_uring]: https://docs.rs/crate/fcgi-proto/latest/source/examples/io_uring_server.rs
//! [embedded-io-async]: https://docs.rs/crate/fcgi-proto/latest/source/examples/embedded_server/serve.rs
//! [client on tokio]: https://docs.rs/crate/fcgi-proto/latest/source/examples/tokio_client.rs
