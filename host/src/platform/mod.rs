//! What differs between operating systems.
//!
//! Each system has a folder with the same items, and the rest of the host does not ask which system
//! it runs on. What a system cannot do is an error that says so, or a function whose comment
//! says what happens instead.
//!
//! Knows nothing of the host: paths, files, processes and addresses only.

mod access;
mod files;
mod machine;
mod processes;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// Only the driver for machines with Windows needs these.
#[cfg(windows)]
pub(crate) use self::windows::{
    disks::{DiskDevice, TransferCounters, Volume, disk_names, volumes},
    files::volume_space,
    machine::{memory_bytes, processor_times, registry_text},
};
pub(crate) use access::{AccessFinding, FileReaders};
pub(crate) use files::{OpenRestricted, rename_durable};
pub(crate) use processes::{ConfineArgs, ProcessCommand, ProgramStart};
pub(crate) use system::{
    access::{
        ADMINISTRATOR, FileAccess, check_writable, is_administrator, keep_files_private, user,
    },
    allocator::limit_kept_memory,
    database::tcp_name,
    files::{
        FileId, allocate, create_file_of_mode, create_folder, create_folders, create_private_file,
        free_bytes, give_to_owner_of, give_tree_to_owner_of, link_count, mode_of, read_at, rename,
        sync_folder, write_all_at,
    },
    folder_lock::FolderLock,
    local_socket::{HAS_LOCAL_SOCKETS, LocalClient, LocalListener, LocalStream},
    machine::{
        OWN_VENDOR, boot_id, machine_name, own_usage, running_time, thread_processor_time, usage_of,
    },
    paths::{COPY_LIBRARY, configuration_folder, plugin_folder, state_folder},
    processes::{
        ChildProcess, DeathSignal, HostConnections, INHERITED_VARIABLES, InheritedLibrary,
        OutputPipe, StartedProcess, WatchedSocket, adopt_orphans, are_descriptors_used_up,
        become_program, check_host_connection, confine, end_all_processes, end_orphans,
        is_from_outside, signal_of, start_again, take_host_connections,
    },
    service::{JournalSocket, ServiceManager, install_service, uninstall_service},
    signals::{ReloadSignals, StopFlag, StopSignals},
    streams::{copy_of_stderr, copy_of_stdout},
    udp::{DropCounter, set_receive_buffer},
};
