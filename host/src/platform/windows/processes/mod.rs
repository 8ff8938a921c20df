//! Processes that this one starts, and what they do before they run code of a plugin.

use std::io;

mod child;
mod ends;
mod inherited;
mod job;

pub(crate) use self::{
    child::{ChildProcess, OutputPipe, StartedProcess, WatchedSocket},
    ends::{DeathSignal, is_from_outside, signal_of},
    inherited::{
        HostConnections, InheritedLibrary, are_descriptors_used_up, become_program,
        check_host_connection, take_host_connections,
    },
    job::confine,
};

/// Variables that a process gets from the host's environment. Others may have secrets.
pub(crate) const INHERITED_VARIABLES: [&str; 10] = [
    "PATH",
    "SystemRoot",
    "SystemDrive",
    "ProgramData",
    "TEMP",
    "TMP",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
];

/// A process cannot become another one here: its supervisor starts it again.
pub(crate) fn start_again() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "a process cannot start itself again on this system",
    )
}

/// Nothing: the job of a process has all that it starts.
pub(crate) const fn adopt_orphans() {}

/// Nothing: they end with the job of their process.
pub(crate) const fn end_orphans() -> usize {
    0
}

/// Nothing: each job ends with the last handle to it, which the host has.
pub(crate) const fn end_all_processes() {}
