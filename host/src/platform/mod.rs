//! What differs between operating systems.
//!
//! Each system has a folder, and the rest of the host does not ask which system it runs on. There is
//! one for Unix.
//!
//! Knows nothing of the host: paths, files and processes only.

mod access;
mod files;
mod processes;
mod unix;

use unix as system;

pub(crate) use access::{AccessFinding, FileReaders};
pub(crate) use files::{OpenRestricted, rename_durable};
pub(crate) use processes::{ConfineArgs, ProcessCommand, ProgramStart};
pub(crate) use system::{
    access::{FileAccess, check_writable, is_administrator, keep_files_private, user},
    files::{
        FileId, allocate, create_folder, create_folders, free_bytes, give_to_owner_of,
        give_tree_to_owner_of, link_count, mode_of, read_at, rename, sync_folder, write_all_at,
    },
    folder_lock::FolderLock,
    local_socket::{HAS_LOCAL_SOCKETS, LocalClient, LocalListener, LocalStream},
    machine::{machine_name, own_usage, thread_processor_time, usage_of},
    processes::{
        ChildProcess, DeathSignal, HostConnections, INHERITED_VARIABLES, InheritedLibrary,
        OutputPipe, StartedProcess, WatchedSocket, adopt_orphans, are_descriptors_used_up,
        become_program, check_host_connection, confine, end_all_processes, end_orphans,
        is_from_outside, signal_of, take_host_connections,
    },
    service::{JournalSocket, ServiceManager},
    signals::{ReloadSignals, StopFlag, StopSignals},
    streams::{copy_of_stderr, copy_of_stdout},
    udp::{DropCounter, set_receive_buffer},
};
