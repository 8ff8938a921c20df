//! What processes use of a machine.

/// What this process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnUsage {
    pub(crate) used: ResourceUsage,
    /// `None`: the system does not tell.
    pub(crate) threads: Option<i64>,
    /// Descriptors or handles.
    pub(crate) open_files: u64,
}

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ResourceUsage {
    pub(crate) resident_bytes: u64,
    /// CPU time since the process was started.
    pub(crate) cpu_seconds: f64,
}
