//! Sockets for programs of this machine: there are none. The API has its address.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use tokio::net::TcpStream;

/// Whether the system has such sockets.
pub(crate) const HAS_LOCAL_SOCKETS: bool = false;

/// A connection of a client, which blocks.
#[derive(Debug)]
pub(crate) struct LocalClient(Infallible);

/// A connection that was accepted.
pub(crate) type LocalStream = TcpStream;

/// Listens at a path.
#[derive(Debug)]
pub(crate) struct LocalListener(Infallible);

impl LocalListener {
    /// # Errors
    ///
    /// Always.
    pub(crate) fn bind(_: &Path, _: u32) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn path(&self) -> &Path {
        match self.0 {}
    }

    pub(crate) async fn accept(&self) -> io::Result<(LocalStream, u32)> {
        match self.0 {}
    }
}

impl LocalClient {
    /// # Errors
    ///
    /// Always.
    pub(crate) fn connect(_: &Path) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        match self.0 {}
    }
}

impl Read for LocalClient {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Write for LocalClient {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no sockets with a path",
    )
}
