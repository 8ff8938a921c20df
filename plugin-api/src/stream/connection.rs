//! An open connection.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustls::{ClientConnection, StreamOwned};

use super::time_left;

/// A connection with a deadline, past which every call fails with
/// [`TimedOut`](ErrorKind::TimedOut).
pub struct Connection {
    stream: Stream,
    /// At least the time that a packet needs to the receiver and back.
    round_trip: Duration,
}

enum Stream {
    Plain(TimedSocket),
    Tls(Box<StreamOwned<ClientConnection, TimedSocket>>),
}

/// A socket whose reads and writes end at a deadline.
pub(super) struct TimedSocket {
    socket: TcpStream,
    deadline: Instant,
}

impl Connection {
    pub(super) fn plain(socket: TimedSocket, round_trip: Duration) -> Self {
        let stream = Stream::Plain(socket);
        Self { stream, round_trip }
    }

    pub(super) fn encrypted(
        session: ClientConnection,
        socket: TimedSocket,
        round_trip: Duration,
    ) -> Self {
        let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
        Self { stream, round_trip }
    }

    /// Sets the deadline of the calls that follow.
    pub fn set_deadline(&mut self, deadline: Instant) {
        match &mut self.stream {
            Stream::Plain(socket) => socket.deadline = deadline,
            Stream::Tls(stream) => stream.sock.deadline = deadline,
        }
    }

    fn deadline(&self) -> Instant {
        match &self.stream {
            Stream::Plain(socket) => socket.deadline,
            Stream::Tls(stream) => stream.sock.deadline,
        }
    }

    /// Whether the receiver has closed the connection, as far as is known here. What it
    /// has sent is discarded.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        let closed = self.socket().set_nonblocking(true).and_then(|()| {
            let closed = self.read_what_is_here();
            self.socket().set_nonblocking(false).and(closed)
        });
        closed.unwrap_or(true)
    }

    /// Reads without waiting, and returns whether the end is reached.
    fn read_what_is_here(&mut self) -> io::Result<bool> {
        let waits = |error: &io::Error| error.kind() == ErrorKind::WouldBlock;
        loop {
            let read = match &mut self.stream {
                Stream::Plain(socket) => socket.socket.read(&mut [0; 512]),
                Stream::Tls(stream) => stream.conn.read_tls(&mut stream.sock.socket),
            };
            match read {
                Ok(0) => return Ok(true),
                Err(error) if waits(&error) => return Ok(false),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            if let Stream::Tls(stream) = &mut self.stream {
                let state = stream
                    .conn
                    .process_new_packets()
                    .map_err(io::Error::other)?;
                if state.peer_has_closed() {
                    return Ok(true);
                }
                let waiting = state.plaintext_bytes_to_read() as u64;
                io::copy(&mut stream.conn.reader().take(waiting), &mut io::sink())?;
            }
        }
    }

    /// Ends what is sent, and waits until the receiver has closed the connection too.
    ///
    /// A receiver without acknowledgements closes a connection once it has read the end
    /// of what was sent. So its close tells that it has read everything. What it has not
    /// read when it closes, its system reports with a reset.
    ///
    /// # Errors
    ///
    /// The receiver closed the connection before the end, reset it, or did not close it
    /// before the deadline: it may not have read everything.
    pub fn close_confirmed(mut self) -> io::Result<()> {
        self.flush()?;
        // A close that is here before the end of what was sent confirms nothing.
        if self.is_closed() {
            return Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "the receiver closed the connection before everything was sent",
            ));
        }
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)?;
        self.read_to_close()?;
        // If the receiver closed while the end was on its way, its reset follows the close
        // within a round trip.
        let wait = self.round_trip.max(Duration::from_millis(1));
        thread::sleep(wait.min(time_left(self.deadline())?));
        self.socket().take_error()?.map_or(Ok(()), Err)
    }

    /// Reads until the receiver closes the connection.
    fn read_to_close(&mut self) -> io::Result<()> {
        let mut ignored = [0; 512];
        loop {
            match self.read(&mut ignored) {
                Ok(0) => return Ok(()),
                // Receivers often close TCP without closing TLS first.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => &socket.socket,
            Stream::Tls(stream) => &stream.sock.socket,
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

impl TimedSocket {
    pub(super) fn new(socket: TcpStream, deadline: Instant) -> io::Result<Self> {
        // Messages are written whole, and wait for no answer to earlier ones.
        socket.set_nodelay(true)?;
        Ok(Self { socket, deadline })
    }
}

impl Read for TimedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .set_read_timeout(Some(time_left(self.deadline)?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for TimedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket
            .set_write_timeout(Some(time_left(self.deadline)?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A blocking socket reports a timeout as `WouldBlock`.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    }
}
