//! Shared by the tests: receivers.

use std::{
    io,
    net::{TcpListener, TcpStream},
    thread,
};

/// The port of a receiver that reads each connection to its end.
pub(crate) fn reader() -> u16 {
    receiver(|mut stream| drop(io::copy(&mut stream, &mut io::sink())))
}

/// The port of a receiver that does this with each connection.
pub(crate) fn receiver(serve: impl Fn(TcpStream) + Copy + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}
