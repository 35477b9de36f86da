use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::connection::Connection;

/// Serves one connection until it is to be closed.
pub(crate) fn serve(stream: &mut TcpStream) -> io::Result<()> {
    let (mut connection, start) = (Connection::new(), Instant::now());
    let (mut buffer, mut unread) = ([0; 16 * 1024], 0..0);
    loop {
        let now = start.elapsed();
        unread.start += connection.take_in(&buffer[unread.clone()], now);
        if connection.session.expire(now) {
            continue;
        }
        let next = connection.session.next(now);
        if next.close {
            return Ok(());
        } else if next.write {
            stream.write_all(&connection.out)?;
            connection.session.sent(connection.out.len(), start.elapsed());
            connection.out.clear();
        } else if next.shutdown {
            stream.shutdown(Shutdown::Write)?;
            connection.session.shut(now);
        } else {
            // A timeout of nothing would mean none.
            let wait = next.at.map(|at| at.saturating_sub(now).max(Duration::from_millis(1)));
            stream.set_read_timeout(wait)?;
            match stream.read(&mut buffer) {
                Ok(0) => connection.session.end_of_input(),
                Ok(count) => unread = 0..count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => connection.session.broken(),
            }
        }
    }
}
