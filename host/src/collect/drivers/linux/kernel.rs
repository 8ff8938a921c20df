//! Reads devices, processor time and file systems from the kernel's files.
//!
//! The root of all paths is `/`, except in tests. Lines that cannot be parsed are
//! skipped, so that the other devices are still measured.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use procfs::{DiskStat, FromReadSI, KernelStats, process::MountInfo};

use super::rates::{Counters, IoCounters};
use crate::collect::driver::DriverError;

/// File systems of images. They are always full and read-only.
const IMAGE_TYPES: [&str; 6] = ["squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs"];
const MEMORY_DEVICES: [&str; 3] = ["loop", "ram", "zram"];

/// Devices by name, including partitions.
pub(super) type Devices = BTreeMap<String, Device>;

#[derive(Clone, Debug)]
pub(super) struct Device {
    /// `major:minor`.
    number: String,
    /// The kernel's `diskseq`: unique per disk since boot, so that another disk of the
    /// same name is recognized. Old kernels do not have it.
    sequence: Option<u64>,
    pub(super) role: Role,
    pub(super) counters: Counters,
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

/// Processor time since boot, in ticks.
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
    /// Whether the kernel makes it read-only after an error (`errors=remount-ro`).
    pub(super) remounts_on_error: bool,
}

pub(super) struct Kernel {
    root: PathBuf,
}

impl Device {
    /// Whether this is the disk of an earlier reading.
    pub(super) fn is_same_disk(&self, earlier: &Self) -> bool {
        self.number == earlier.number && self.sequence == earlier.sequence
    }
}

impl Kernel {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The root of all paths.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn devices(&self) -> Result<Devices, DriverError> {
        let text = self.text("proc/diskstats")?;
        let stats = text
            .lines()
            .filter_map(|line| DiskStat::from_line(line).ok());
        Ok(stats
            .map(|stat| (stat.name.clone(), self.device(&stat)))
            .collect())
    }

    pub(super) fn cpu(&self) -> Result<CpuTicks, DriverError> {
        let path = self.root.join("proc/stat");
        let stats = KernelStats::from_file(&path, procfs::current_system_info())
            .map_err(|error| unavailable(&path, &error))?;
        let cpu = stats.total;
        let or_zero = Option::unwrap_or_default;
        Ok(CpuTicks {
            busy: cpu.user
                + cpu.nice
                + cpu.system
                + or_zero(cpu.irq)
                + or_zero(cpu.softirq)
                + or_zero(cpu.steal),
            idle: cpu.idle + or_zero(cpu.iowait),
        })
    }

    /// File systems on devices. A file system with several mounts is listed once.
    pub(super) fn filesystems(&self, devices: &Devices) -> Result<Vec<Filesystem>, DriverError> {
        let text = self.text("proc/self/mountinfo")?;
        let mounts = text
            .lines()
            .filter_map(|line| MountInfo::from_line(line).ok());
        // A later mount hides an earlier one at the same mount point.
        let visible: BTreeMap<_, _> = mounts
            .map(|mount| (mount.mount_point.clone(), mount))
            .collect();
        let mut by_device = BTreeMap::<String, MountInfo>::new();
        for mount in visible.into_values() {
            let image = IMAGE_TYPES.contains(&mount.fs_type.as_str());
            let Some(device) = self.device_of(&mount, devices).filter(|_| !image) else {
                continue;
            };
            let shown = by_device.entry(device).or_insert_with(|| mount.clone());
            if prominence(&mount) < prominence(shown) {
                *shown = mount;
            }
        }
        Ok(by_device
            .into_iter()
            .map(|(device, mount)| filesystem(device, &mount))
            .collect())
    }

    pub(super) fn hostname(&self) -> Result<String, DriverError> {
        let name = self.text("proc/sys/kernel/hostname")?;
        Ok(name.trim().to_owned())
    }

    pub(super) fn machine_id(&self) -> Option<String> {
        let id = fs::read_to_string(self.root.join("etc/machine-id")).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    fn device(&self, stat: &DiskStat) -> Device {
        let block = self
            .root
            .join("sys/block")
            .join(stat.name.replace('/', "!"));
        Device {
            number: format!("{}:{}", stat.major, stat.minor),
            sequence: number(&block.join("diskseq")),
            role: role(&stat.name, &block),
            counters: Counters {
                read: IoCounters {
                    ios: stat.reads,
                    sectors: stat.sectors_read,
                    busy_ms: stat.time_reading,
                },
                write: IoCounters {
                    ios: stat.writes,
                    sectors: stat.sectors_written,
                    busy_ms: stat.time_writing,
                },
            },
        }
    }

    /// The device of a file system, by number. Btrfs has a number of its own that is no
    /// device, so there the device is found by name.
    fn device_of(&self, mount: &MountInfo, devices: &Devices) -> Option<String> {
        let by_number = devices
            .iter()
            .find(|(_, device)| device.number == mount.majmin);
        if let Some((name, _)) = by_number {
            return Some(name.clone());
        }
        let source = mount.mount_source.as_deref()?.strip_prefix("/dev/")?;
        let link = fs::read_link(self.root.join("dev").join(source)).ok();
        let name = match &link {
            Some(target) => target.file_name()?.to_str()?,
            None => source,
        };
        devices.contains_key(name).then(|| name.to_owned())
    }

    fn text(&self, path: &str) -> Result<String, DriverError> {
        let path = self.root.join(path);
        // Mount points can contain any bytes.
        let bytes = fs::read(&path).map_err(|error| unavailable(&path, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> DriverError {
    DriverError::Unavailable {
        reason: format!("cannot read `{}`: {error}", path.display()),
    }
}

fn role(name: &str, block: &Path) -> Role {
    let in_memory = MEMORY_DEVICES.iter().any(|prefix| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    // A drive without a medium has size 0. Each path of a multipath disk is `hidden`.
    let absent = number(&block.join("size")) == Some(0);
    let hidden = number(&block.join("hidden")) == Some(1);
    if !block.exists() || in_memory || absent || hidden {
        return Role::Other;
    }
    if has_entries(&block.join("slaves")) {
        return Role::Stacked;
    }
    Role::Disk
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn has_entries(folder: &Path) -> bool {
    let first: io::Result<_> = fs::read_dir(folder).map(|mut entries| entries.next());
    matches!(first, Ok(Some(_)))
}

/// Order of the mounts of a file system; the smallest one is shown. A mount of the whole
/// file system comes before a mount of a subtree, then the shortest path.
fn prominence(mount: &MountInfo) -> (bool, usize) {
    (mount.root != "/", mount.mount_point.as_os_str().len())
}

// Read-only is a property of the file system here, not of the mount: a service can have
// a read-only mount of a writable file system.
fn filesystem(device: String, mount: &MountInfo) -> Filesystem {
    let on_error = mount.super_options.get("errors");
    Filesystem {
        mount_point: unescape(&mount.mount_point.to_string_lossy()),
        device,
        read_only: mount.super_options.contains_key("ro"),
        remounts_on_error: on_error.is_some_and(|action| action.as_deref() == Some("remount-ro")),
    }
}

/// The kernel writes white space and backslashes as a backslash and three octal digits.
fn unescape(path: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(path.to_owned(), |path, (octal, plain)| {
            path.replace(octal, plain)
        })
}
