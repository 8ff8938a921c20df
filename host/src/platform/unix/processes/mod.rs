//! Processes that this one starts, and what they do before they run code of a plugin.

mod child;
mod confine;
mod descriptors;
mod ends;
mod ignored_signals;
mod registry;
mod starter;
mod watched;

pub(crate) use self::{
    child::{ChildProcess, OutputPipe, StartedProcess, start_again},
    confine::confine,
    descriptors::{
        HostConnections, InheritedLibrary, are_descriptors_used_up, become_program,
        check_host_connection, take_host_connections,
    },
    ends::{DeathSignal, is_from_outside, signal_of},
    registry::{adopt_orphans, end_all_processes, end_orphans},
    watched::WatchedSocket,
};

/// Variables that a process gets from the host's environment. Others may have secrets.
pub(crate) const INHERITED_VARIABLES: [&str; 12] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "KRB5_CONFIG",
];
