//! What the kernel tells in files: devices, processor time, file systems.
//!
//! Reads under a root that is `/` but in tests. A line that makes no sense is
//! passed over: it must not cost the other devices their measurements.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use procfs::{DiskStat, FromReadSI, KernelStats, process::MountInfo};

use super::rates::{Counters, Direction};
use crate::collect::driver::DriverError;

/// File systems that are images: full and read-only by nature.
const IMAGE_TYPES: [&str; 6] = ["squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs"];
const MEMORY_DEVICES: [&str; 3] = ["loop", "ram", "zram"];

/// The devices by name, partitions too.
pub(super) type Devices = BTreeMap<String, Device>;

#[derive(Clone, Debug)]
pub(super) struct Device {
    /// `major:minor`.
    number: String,
    /// Which disk this is since the machine started: another disk that gets the
    /// same name has another number. Old kernels do not tell.
    sequence: Option<u64>,
    pub(super) role: Role,
    pub(super) counters: Counters,
}

/// What a device counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A disk.
    Disk,
    /// A disk made of other disks, whose work is theirs.
    Stacked,
    /// A partition, or nothing that stores.
    Part,
}

/// How much the processors have worked, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTicks {
    pub(super) busy: u64,
    pub(super) idle: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Filesystem {
    pub(super) mount_point: String,
    /// The name of its device.
    pub(super) device: String,
    pub(super) read_only: bool,
    /// Whether it turns read-only when the kernel finds it damaged.
    pub(super) guarded: bool,
}

pub(super) struct Kernel {
    root: PathBuf,
}

impl Device {
    /// Whether this is still the disk of that earlier reading.
    pub(super) fn is(&self, earlier: &Self) -> bool {
        self.number == earlier.number && self.sequence == earlier.sequence
    }
}

impl Kernel {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
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
        let or_none = Option::unwrap_or_default;
        Ok(CpuTicks {
            busy: cpu.user
                + cpu.nice
                + cpu.system
                + or_none(cpu.irq)
                + or_none(cpu.softirq)
                + or_none(cpu.steal),
            idle: cpu.idle + or_none(cpu.iowait),
        })
    }

    /// The file systems that have a device, each once, however often it is mounted.
    pub(super) fn filesystems(&self, devices: &Devices) -> Result<Vec<Filesystem>, DriverError> {
        let text = self.text("proc/self/mountinfo")?;
        let mounts = text
            .lines()
            .filter_map(|line| MountInfo::from_line(line).ok());
        // Of two mounts on one place only the later can be seen.
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

    /// What tells this machine from others, if it has that.
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
                read: Direction {
                    ios: stat.reads,
                    sectors: stat.sectors_read,
                    busy_ms: stat.time_reading,
                },
                write: Direction {
                    ios: stat.writes,
                    sectors: stat.sectors_written,
                    busy_ms: stat.time_writing,
                },
            },
        }
    }

    /// The device that a file system is on. Btrfs has a number that is no
    /// device's, so there it is the name that counts.
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
        // Mount points may have any bytes in them.
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
    // A drive without a medium has no size; a path of a multipath disk is hidden
    // behind it.
    let absent = number(&block.join("size")) == Some(0);
    let hidden = number(&block.join("hidden")) == Some(1);
    if !block.exists() || in_memory || absent || hidden {
        return Role::Part;
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

/// Which of a file system's mounts stands for it: the whole before a part of
/// it, then the shortest path.
fn prominence(mount: &MountInfo) -> (bool, usize) {
    (mount.root != "/", mount.mount_point.as_os_str().len())
}

// Whether it is read-only is asked of the file system, not of this mount: a
// service may be shown a writable file system as a read-only one.
fn filesystem(device: String, mount: &MountInfo) -> Filesystem {
    let on_error = mount.super_options.get("errors");
    Filesystem {
        mount_point: unescape(&mount.mount_point.to_string_lossy()),
        device,
        read_only: mount.super_options.contains_key("ro"),
        guarded: on_error.is_some_and(|action| action.as_deref() == Some("remount-ro")),
    }
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(path: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(path.to_owned(), |path, (octal, plain)| {
            path.replace(octal, plain)
        })
}
