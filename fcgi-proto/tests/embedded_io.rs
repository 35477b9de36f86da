//! Records written to an `embedded_io::Write` (feature `embedded-io-07`).

#![cfg(feature = "embedded-io-07")]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};

use embedded_io_07::{ErrorKind, ErrorType, Write};
use fcgi_proto::embedded_io_07::WriteTo;
use fcgi_proto::record::{Record, RecordType, RequestId, Role};
use fcgi_proto::{Limits, client, server};

/// Takes at most `step` bytes at once, and fails whenever `room` bytes were taken since it last did.
struct Line {
    step: usize,
    room: usize,
    left: usize,
    taken: Vec<u8>,
}

impl Line {
    fn new(step: usize, room: usize) -> Self {
        Self { step, room, left: room, taken: Vec::new() }
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl Write for Line {
    fn write(&mut self, data: &[u8]) -> Result<usize, ErrorKind> {
        if self.left == 0 {
            self.left = self.room;
            return Err(ErrorKind::TimedOut);
        }
        let count = data.len().min(self.step).min(self.left);
        self.left -= count;
        self.taken.extend(&data[..count]);
        assert!(self.taken.len() < 1000, "a record without end");
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Writes the record to lines of all sorts, again after each error, and expects `bytes` on each.
fn writes(record: &(impl WriteTo + Clone), bytes: &[u8]) {
    for (step, room) in [(1, 1), (1, 1000), (3, 5), (7, 16), (1000, 9), (1000, 1000)] {
        let mut line = Line::new(step, room);
        let mut record = record.clone();
        let mut errors = 0;
        while let Err(error) = record.write_to(&mut line) {
            assert_eq!(error, ErrorKind::TimedOut);
            errors += 1;
        }
        assert_eq!((line.taken.as_slice(), errors), (bytes, (bytes.len() - 1) / room));
    }
}

#[test]
fn a_record_of_each_kind_is_written_whole_and_after_an_error_from_where_it_was() {
    let (record, _) = Record::stream(RecordType::Stdout, RequestId::ONE, b"hello");
    writes(&record, &record.slices().concat());

    let mut client = client::Connection::<1>::new(Limits::default());
    let (id, begin) = client.begin(Role::Responder, true).unwrap();
    writes(&begin, &begin);
    let pair = client.param(id, b"REQUEST_URI", b"/").unwrap();
    writes(&pair, &pair.slices().concat());

    let mut server = server::Connection::<1>::new(Limits::default());
    let _event = server.next_event(&mut &begin[..]).unwrap();
    let refusal = server.reject(id, server::Refusal::Overloaded).unwrap();
    writes(&refusal, &refusal);
}

#[test]
fn a_record_writes_itself_to_an_async_writer_too() {
    struct Few(Vec<u8>);
    impl ErrorType for Few {
        type Error = ErrorKind;
    }
    impl embedded_io_async_07::Write for Few {
        async fn write(&mut self, data: &[u8]) -> Result<usize, ErrorKind> {
            let count = data.len().min(3);
            self.0.extend(&data[..count]);
            Ok(count)
        }
        async fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }
    let (mut record, _) = Record::stream(RecordType::Stdout, RequestId::ONE, b"hello");
    let (mut writer, bytes) = (Few(vec![]), record.slices().concat());
    let is_ready = {
        let written = pin!(fcgi_proto::embedded_io_async_07::WriteTo::write_to(&mut record, &mut writer));
        written.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    assert!(is_ready);
    assert_eq!(writer.0, bytes);
}

#[test]
fn a_record_of_nothing_writes_nothing() {
    let (mut record, _) = Record::stream(RecordType::Stdout, RequestId::ONE, b"");
    let mut line = Line::new(1, 1);
    assert_eq!(record.write_to(&mut line), Ok(()));
    assert!(line.taken.is_empty());
}

#[test]
fn a_writer_that_takes_nothing_or_claims_too_much_ends_the_call() {
    struct Liar {
        claim: usize,
        calls: usize,
    }
    impl ErrorType for Liar {
        type Error = ErrorKind;
    }
    impl Write for Liar {
        fn write(&mut self, _data: &[u8]) -> Result<usize, ErrorKind> {
            self.calls += 1;
            assert!(self.calls <= 3, "a record without end");
            Ok(self.claim)
        }
        fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }
    let (record, _) = Record::stream(RecordType::Stdout, RequestId::ONE, b"hello");
    // Header, content and padding are each given to the writer, whatever it claims.
    for (claim, calls, left) in [(0, 1, 16), (usize::MAX, 3, 0)] {
        let (mut record, mut liar) = (record.clone(), Liar { claim, calls: 0 });
        assert_eq!(record.write_to(&mut liar), Ok(()));
        assert_eq!((liar.calls, record.remaining()), (calls, left));
    }
}
