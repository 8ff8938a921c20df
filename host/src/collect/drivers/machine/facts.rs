//! What a system tells of its machine.

use std::collections::BTreeMap;

use super::rates::Counters;

/// Devices by name, including partitions.
pub(super) type Devices = BTreeMap<String, Device>;

#[derive(Clone, Debug)]
pub(super) struct Device {
    /// `major:minor` on Linux; elsewhere, what names the disk or the volume.
    pub(super) number: String,
    /// Linux's `diskseq`: unique per disk since boot, so that another disk of the
    /// same name is recognized. Old kernels do not have it.
    pub(super) sequence: Option<u64>,
    pub(super) role: Role,
    /// `None`: the system does not tell.
    pub(super) counters: Option<Counters>,
}

/// How a device is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Measured, and part of the total.
    Disk,
    /// A disk on top of other disks: measured, but the total already has its work.
    Stacked,
    /// Not measured as a disk: a partition, a device in memory, a drive without a medium.
    Other,
}

/// Processor time since boot, in units of the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTicks {
    pub(super) busy: u64,
    pub(super) idle: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Filesystem {
    pub(super) mount_point: String,
    pub(super) device: String,
    pub(super) read_only: bool,
    /// Whether the system makes it read-only after an error (`errors=remount-ro`).
    pub(super) remounts_on_error: bool,
}

/// Usage of a file system in bytes. Blocks that are reserved for root count neither as used nor
/// as free.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilesystemUsage {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) free: u64,
}

impl FilesystemUsage {
    /// Used space in percent, as `df` shows it.
    pub(super) fn used_percent(self) -> f64 {
        let usable = (self.used + self.free) as f64;
        if usable > 0.0 {
            100.0 * self.used as f64 / usable
        } else {
            0.0
        }
    }
}

/// The processors, and the memory that they share.
#[derive(Clone, Debug, Default)]
pub(super) struct Processors {
    pub(super) model: Option<String>,
    pub(super) count: Option<usize>,
    pub(super) memory_bytes: Option<u64>,
}

/// A disk, in Delfin's words.
#[derive(Clone, Debug)]
pub(super) struct DiskFacts {
    pub(super) physical_type: Option<&'static str>,
    pub(super) status: &'static str,
    /// In percent, 100 is new.
    pub(super) health_score: Option<u64>,
    pub(super) serial_number: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) bytes: Option<u64>,
}

/// A network port, in Delfin's words.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) connection_status: &'static str,
    /// In bits per second.
    pub(super) speed: Option<u64>,
    pub(super) mac_address: Option<String>,
}

impl Device {
    /// Whether this is the disk of an earlier reading.
    pub(super) fn is_same_disk(&self, earlier: &Self) -> bool {
        self.number == earlier.number && self.sequence == earlier.sequence
    }
}
