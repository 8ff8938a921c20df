//! Reads devices, processor time and file systems from the kernel's files.
//!
//! The root of all paths is `/`, except in tests. Lines that cannot be parsed are
//! skipped, so that the other devices are still measured.

mod disk_health;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use procfs::{DiskStat, FromReadSI, KernelStats, process::MountInfo};

use self::disk_health::disk_health;
use super::{
    facts::{
        CpuTicks, Device, Devices, DiskFacts, Filesystem, FilesystemUsage, Port, Processors, Role,
    },
    rates::{Counters, IoCounters, SECTOR_BYTES},
};
use crate::collect::driver::DriverError;

/// File systems of images. They are always full and read-only.
const IMAGE_TYPES: [&str; 6] = ["squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs"];
const MEMORY_DEVICES: [&str; 3] = ["loop", "ram", "zram"];

/// Whose rules for access the file systems follow.
pub(super) const SECURITY_MODE: &str = "unix";

/// What to do about a file system that turned read-only.
pub(super) const READ_ONLY_ADVICE: &str = "Look for disk errors in the kernel's log, check the file system, and \
                                           mount it for writing again.";

pub(super) struct LinuxKernel {
    root: PathBuf,
}

impl Default for LinuxKernel {
    /// That of this machine.
    fn default() -> Self {
        Self::new(PathBuf::from("/"))
    }
}

impl LinuxKernel {
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
        self.fact("etc/machine-id")
    }

    /// The version of the kernel.
    pub(super) fn version(&self) -> Option<String> {
        self.fact("proc/sys/kernel/osrelease")
    }

    pub(super) fn processors(&self) -> Processors {
        let cpus = self.fact("proc/cpuinfo").unwrap_or_default();
        let values = |key: &str| {
            let of_key = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
            let lines: Vec<_> = cpus.lines().filter(|line| line.starts_with(key)).collect();
            (lines.len(), lines.first().and_then(|line| of_key(line)))
        };
        let memory = self.fact("proc/meminfo").and_then(|text| {
            let total = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?;
            let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib * 1024)
        });
        Processors {
            model: values("model name").1,
            count: Some(values("processor").0).filter(|count| *count > 0),
            memory_bytes: memory,
        }
    }

    pub(super) fn disk(&self, name: &str) -> DiskFacts {
        let block = block(name);
        let text = |file: &str| self.fact(block.join(file));
        let health = disk_health(&self.root.join(&block));
        DiskFacts {
            physical_type: match text("queue/rotational").as_deref() {
                Some("0") if name.starts_with("nvme") => Some("nvme-ssd"),
                Some("0") => Some("ssd"),
                Some("1") => Some("hdd"),
                Some(_) | None => None,
            },
            status: health.status,
            health_score: health.score,
            serial_number: text("serial").or_else(|| text("device/serial")),
            manufacturer: text("device/vendor"),
            model: text("device/model"),
            firmware: text("device/rev").or_else(|| text("device/firmware_rev")),
            bytes: text("size")
                .and_then(|sectors| Some(sectors.parse::<u64>().ok()? * SECTOR_BYTES)),
        }
    }

    /// The network ports that are devices.
    pub(super) fn ports(&self) -> Result<Vec<Port>, DriverError> {
        let Ok(entries) = fs::read_dir(self.root.join("sys/class/net")) else {
            return Ok(Vec::new());
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let folder = |name: &str| Path::new("sys/class/net").join(name);
        let mut names: Vec<String> = names
            .filter(|name| self.root.join(folder(name)).join("device").exists())
            .collect();
        names.sort();
        let port = |name: String| {
            let text = |file: &str| self.fact(folder(&name).join(file));
            let megabits = text("speed").and_then(|speed| speed.parse::<u64>().ok());
            Port {
                connection_status: match text("operstate").as_deref() {
                    Some("up") => "connected",
                    Some("down" | "lowerlayerdown") => "disconnected",
                    Some(_) | None => "unknown",
                },
                speed: megabits.map(|speed| speed * 1_000_000),
                mac_address: text("address"),
                name,
            }
        };
        Ok(names.into_iter().map(port).collect())
    }

    fn device(&self, stat: &DiskStat) -> Device {
        let block = self.root.join(block(&stat.name));
        Device {
            number: format!("{}:{}", stat.major, stat.minor),
            sequence: number(&block.join("diskseq")),
            role: role(&stat.name, &block),
            counters: Some(Counters {
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
            }),
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

    /// A file without the white space around its text; none if that is empty.
    fn fact(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn text(&self, path: &str) -> Result<String, DriverError> {
        let path = self.root.join(path);
        // Mount points can contain any bytes.
        let bytes = fs::read(&path).map_err(|error| unavailable(&path, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The folder of a disk.
fn block(name: &str) -> PathBuf {
    Path::new("sys/block").join(name.replace('/', "!"))
}

pub(super) fn usage(mount_point: &Path) -> io::Result<FilesystemUsage> {
    let stat = rustix::fs::statvfs(mount_point)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(FilesystemUsage {
        total: bytes(stat.f_blocks),
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        free: bytes(stat.f_bavail),
    })
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
