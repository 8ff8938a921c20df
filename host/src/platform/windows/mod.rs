//! Windows.

pub(super) mod access;
pub(super) mod allocator;
pub(super) mod database;
pub(super) mod disks;
pub(super) mod files;
pub(super) mod folder_lock;
pub(super) mod local_socket;
pub(super) mod machine;
pub(super) mod paths;
pub(super) mod processes;
pub(super) mod service;
pub(super) mod signals;
pub(super) mod streams;
pub(super) mod udp;
