//! The connection to a process: reads its messages, and sends what it has not taken yet.
//!
//! Promises: a process that never stops sending gets a bounded part of the time of the host.

use std::{future::pending, io, sync::Arc};

use delfin_plugin_protocol::{FrameError, FrameReader, FrameSocket, Progress, WireFrame};
use tokio::io::Interest;

use super::{dialogue::Dialogue, link::Link};
use crate::{panics, platform::WatchedSocket};

/// How many parts of messages are read at once, and of a process that has ended.
const PARTS_AT_ONCE: usize = 64;
const LAST_PARTS: usize = 4096;

/// A message that is longer, in bytes, is not decoded on an async worker.
const LARGE_MESSAGE: usize = 128 << 10;

/// How much of what was there was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadProgress {
    All,
    Part,
}

pub(super) struct ProcessConnection {
    socket: Arc<FrameSocket>,
    readable: WatchedSocket,
    /// Watched while something is left to send: otherwise each read of the process would wake
    /// the host.
    writable: Option<WatchedSocket>,
    reader: FrameReader,
    pub(super) link: Link,
    /// Whether the process can still send.
    pub(super) is_open: bool,
}

/// The result of one read. The outer error is that of the socket.
type PartResult = io::Result<Result<Progress, FrameError>>;

impl ProcessConnection {
    /// `max_payload` limits the payloads of messages, in bytes.
    pub(super) fn new(socket: FrameSocket, max_payload: usize) -> io::Result<Self> {
        let socket = Arc::new(socket);
        Ok(Self {
            readable: WatchedSocket::new(Arc::clone(&socket), Interest::READABLE)?,
            writable: None,
            reader: FrameReader::new(Arc::clone(&socket), max_payload),
            link: Link::new(Arc::clone(&socket)),
            socket,
            is_open: true,
        })
    }

    /// Waits until the process has sent something that was not taken. An error is found by the next read.
    pub(super) async fn readable(&self) {
        if !self.reader.has_unread() {
            self.readable.readable().await;
        }
    }

    /// Waits until the process may take more, if something is left to send.
    pub(super) async fn writable(&self) {
        match &self.writable {
            Some(watched) => watched.writable().await,
            None => pending().await,
        }
    }

    pub(super) fn send_rest(&mut self) {
        let Some(watched) = &self.writable else {
            return;
        };
        let link = &mut self.link;
        // If the process does not take more now, the next attempt waits until it does.
        let _ = watched.try_io(Interest::WRITABLE, || link.try_send_rest());
    }

    /// Watches what `writable` waits for.
    pub(super) fn watch_unsent(&mut self) {
        if !self.link.has_unsent() {
            self.writable = None;
        } else if self.writable.is_none() {
            let copy = self.socket.try_clone();
            let watched =
                copy.and_then(|copy| WatchedSocket::new(Arc::new(copy), Interest::WRITABLE));
            match watched {
                Ok(watched) => self.writable = Some(watched),
                Err(error) => self.link.ending.on_unsent(&error),
            }
        }
    }

    /// Reads what is there, or a part of it.
    pub(super) async fn receive<D: Dialogue>(&mut self, dialogue: &mut D) -> ReadProgress {
        for _ in 0..PARTS_AT_ONCE {
            let reader = &mut self.reader;
            let part = if reader.has_unread() {
                try_read(reader)
            } else {
                let mut part = Err(io::ErrorKind::WouldBlock.into());
                // The error has the watch wait for more, without a read that finds nothing. It belongs to the read itself:
                // what arrives while its frames are taken would be forgotten.
                let _ = self.readable.try_io(Interest::READABLE, || {
                    part = try_read(reader);
                    match reader.has_drained() {
                        true => Err(io::Error::from(io::ErrorKind::WouldBlock)),
                        false => Ok(()),
                    }
                });
                part
            };
            let progress = self.on_part(part, dialogue).await;
            let has_all = self.reader.has_drained() && !self.reader.has_unread();
            if progress == ReadProgress::All || has_all {
                return ReadProgress::All;
            }
        }
        ReadProgress::Part
    }

    /// Reads what a process that has ended has left: it says why it has ended. Processes that it
    /// left behind can hold its connection, and write indefinitely.
    pub(super) async fn drain<D: Dialogue>(&mut self, dialogue: &mut D) {
        for _ in 0..LAST_PARTS {
            let part = try_read(&mut self.reader);
            if !self.is_open || self.on_part(part, dialogue).await == ReadProgress::All {
                return;
            }
        }
    }

    async fn on_part<D: Dialogue>(&mut self, part: PartResult, dialogue: &mut D) -> ReadProgress {
        let broken = match part {
            Ok(Ok(Progress::Part)) => return ReadProgress::Part,
            Ok(Ok(Progress::Frame(frame))) => match decode(dialogue, frame).await {
                Ok(event) => {
                    dialogue.on_event(event, &mut self.link);
                    return ReadProgress::Part;
                }
                Err(reason) => reason,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return ReadProgress::All,
            Ok(Ok(Progress::End) | Err(FrameError::CutOff)) | Err(_) => {
                self.is_open = false;
                self.link.ending.on_closed();
                return ReadProgress::All;
            }
            Ok(Err(error)) => error.to_string(),
        };
        self.is_open = false;
        self.link.ending.on_broken(broken);
        ReadProgress::All
    }
}

fn try_read(reader: &mut FrameReader) -> PartResult {
    match reader.try_read() {
        Err(FrameError::Io(error)) => Err(error),
        read => Ok(read),
    }
}

async fn decode<D: Dialogue>(dialogue: &D, frame: WireFrame) -> Result<D::Event, String> {
    let decode = dialogue.decoder();
    if frame.header.len() <= LARGE_MESSAGE {
        return decode(frame);
    }
    let decoded = panics::spawn_blocking(move || decode(frame)).await;
    decoded.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use delfin_plugin_protocol::{FramePayload, FrameWriter, HostMessage};
    use tokio::{task::yield_now, time::timeout};

    use super::{super::dialogue::ProcessEnd, *};

    /// Counts frames.
    struct Counting(usize);

    impl Dialogue for Counting {
        type Request = ();
        type Event = ();

        fn on_start(&mut self, _: &mut Link) {}

        async fn on_request(&mut self, (): (), _: &mut Link) {}

        fn on_release(&mut self, _: &mut Link) {}

        fn decoder(&self) -> impl FnOnce(WireFrame) -> Result<(), String> + Send + 'static {
            |_| Ok(())
        }

        fn on_event(&mut self, (): (), _: &mut Link) {
            self.0 += 1;
        }

        fn on_end(&mut self, _: &ProcessEnd) {}

        fn refuse(&self, (): (), _: &ProcessEnd) {}
    }

    /// A connection on which `frames` have arrived, and the side of the process.
    fn arrived(frames: usize) -> (ProcessConnection, FrameWriter) {
        let (host, process) = UnixStream::pair().unwrap();
        host.set_nonblocking(true).unwrap();
        let connection = ProcessConnection::new(host.into(), 0).unwrap();
        let mut writer = FrameWriter::new(Arc::new(process.into()));
        (0..frames).for_each(|_| send(&mut writer));
        (connection, writer)
    }

    fn send(writer: &mut FrameWriter) {
        let sent = writer.send(&HostMessage::Cancel, FramePayload::None);
        sent.unwrap();
    }

    /// Reads until so many frames were taken.
    async fn take(frames: usize, connection: &mut ProcessConnection, counting: &mut Counting) {
        while counting.0 < frames {
            let noticed = timeout(Duration::from_mins(1), connection.readable());
            noticed.await.unwrap();
            connection.receive(counting).await;
        }
    }

    #[tokio::test]
    async fn all_frames_of_a_read_are_taken() {
        let frames = 3 * PARTS_AT_ONCE;
        let (mut connection, _writer) = arrived(frames);
        take(frames, &mut connection, &mut Counting(0)).await;
    }

    #[tokio::test]
    async fn what_arrives_while_the_frames_of_a_read_are_taken_is_noticed() {
        let frames = 2 * PARTS_AT_ONCE;
        let (mut connection, mut writer) = arrived(frames);
        let mut counting = Counting(0);
        connection.readable().await;
        assert_eq!(connection.receive(&mut counting).await, ReadProgress::Part);
        send(&mut writer);
        // The watch learns of it.
        yield_now().await;
        take(frames + 1, &mut connection, &mut counting).await;
    }
}
