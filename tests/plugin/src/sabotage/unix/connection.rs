//! Disturbs the connection between its process and the host.

use std::{
    fs,
    io::{IoSlice, Read, Write},
    mem::{self, MaybeUninit},
    os::{
        fd::{AsFd, FromRawFd, RawFd},
        unix::net::UnixStream,
    },
    process, thread,
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

pub(super) fn run(word: &str) -> bool {
    match word {
        "write-garbage" => write(&[0xFF; 256]),
        "write-long-header" => write(&u32::MAX.to_le_bytes()),
        "write-part" => write(&100_u32.to_le_bytes()),
        "write-other-json" => write_frame("{\"type\":\"outcome\",\"id\":-1}"),
        "write-unknown" => write_frame("{\"type\":\"rewind\",\"id\":18446744073709551615}"),
        "write-outcomes" => write_outcomes(),
        "write-half-and-die" => write_half_and_die(),
        "write-on-and-abort" => write_on_and_abort(),
        "send-descriptors" => send_descriptors(),
        "read-connection" => read(),
        "close-connection" => with_connection(|connection| drop(shutdown(connection))),
        _ => return false,
    }
    true
}

/// The sockets of this process. One of them is the connection.
fn sockets() -> impl Iterator<Item = RawFd> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let is_socket = target.to_str()?.starts_with("socket:");
        is_socket.then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

fn with_connection(act: impl Fn(&mut UnixStream)) {
    for number in sockets() {
        // SAFETY: none, that is the point: the connection belongs to the host's code.
        let mut connection = unsafe { UnixStream::from_raw_fd(number) };
        act(&mut connection);
        mem::forget(connection);
    }
}

fn write(bytes: &[u8]) {
    // If it fails, there is nothing to disturb.
    with_connection(|connection| drop(connection.write_all(bytes)));
}

fn write_frame(header: &str) {
    write(&frame(header));
}

fn frame(header: &str) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap_or_default();
    let lengths = [length.to_le_bytes(), [0; 4]].concat();
    [&lengths, header.as_bytes()].concat()
}

/// Messages with descriptors that the host has no use for.
fn send_descriptors() {
    let bytes = frame("{\"type\":\"count\",\"name\":\"descriptors\",\"by\":1}");
    with_connection(|connection| {
        let rights = [connection.as_fd()];
        for _ in 0..1000 {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&rights));
            // If it fails, there is nothing to disturb.
            let _ = sendmsg(
                &*connection,
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                SendFlags::empty(),
            );
        }
    });
}

/// Outcomes of calls that the host has not made.
fn write_outcomes() {
    for id in 1000..2000 {
        write_frame(&format!(
            "{{\"type\":\"outcome\",\"id\":{id},\"class\":\"delivered\"}}"
        ));
    }
}

fn write_half_and_die() {
    let frame = frame("{\"type\":\"outcome\",\"id\":2,\"class\":\"delivered\"}");
    write(&frame[..frame.len() / 2]);
    // SAFETY: it sends a signal to this thread.
    unsafe { libc::raise(libc::SIGKILL) };
}

/// A child keeps the connection, and never stops writing.
fn write_on_and_abort() {
    let frame = frame("{\"type\":\"count\",\"name\":\"orphan\",\"by\":1}");
    // SAFETY: the child calls only functions that are allowed after a fork, and reads what this
    // process has read before.
    if unsafe { libc::fork() } == 0 {
        loop {
            write(&frame);
        }
    }
    process::abort();
}

/// Takes what the host sends from now on.
fn read() {
    for _ in 0..8 {
        thread::spawn(|| {
            with_connection(|connection| {
                let mut bytes = [0; 4096];
                while connection.read(&mut bytes).is_ok_and(|read| read > 0) {}
            });
        });
    }
}

fn shutdown(connection: &UnixStream) -> std::io::Result<()> {
    connection.shutdown(std::net::Shutdown::Both)
}
