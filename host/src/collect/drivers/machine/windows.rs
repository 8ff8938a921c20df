//! Reads disks, volumes and processor time from Windows. A volume is a file system, whose mount point is its
//! shortest path.
//!
//! A disk that the system does not count for has no rates. Health and network ports are not read.

use std::{io, path::Path, thread::available_parallelism, time::Duration};

use super::{
    facts::{
        CpuTicks, Device, Devices, DiskFacts, Filesystem, FilesystemUsage, Port, Processors, Role,
    },
    rates::{Counters, IoCounters, SECTOR_BYTES},
};
use crate::{
    collect::driver::DriverError,
    platform::{
        self, DiskDevice, TransferCounters, Volume, disk_names, machine_name, memory_bytes,
        processor_times, registry_text, volume_space,
    },
};

/// Whose rules for access the file systems follow.
pub(super) const SECURITY_MODE: &str = "ntfs";
/// What to do about a file system that turned read-only.
pub(super) const READ_ONLY_ADVICE: &str =
    "Look for disk errors in the system's event log, and check the volume with `chkdsk`.";

const PROCESSOR: &str = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0";
const SYSTEM: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const CRYPTOGRAPHY: &str = r"SOFTWARE\Microsoft\Cryptography";

#[derive(Default)]
pub(super) struct WindowsKernel;

impl WindowsKernel {
    /// Disks, and volumes by their mount points.
    pub(super) fn devices(&self) -> Result<Devices, DriverError> {
        let disks = disk_names().map_err(|error| unavailable("the disks", &error))?;
        let disks = disks.into_iter().filter_map(|name| {
            let device = open(&name).ok()?;
            let serial = device.description().serial_number;
            let number = serial.unwrap_or_else(|| name.clone());
            Some((name, measured(number, Role::Disk, &device)))
        });
        let volumes = volumes()?.into_iter().filter_map(|volume| {
            let device = DiskDevice::open(&volume.device).ok()?;
            let measured = measured(volume.device, Role::Other, &device);
            Some((volume.mount_point, measured))
        });
        Ok(disks.chain(volumes).collect())
    }

    pub(super) fn cpu(&self) -> Result<CpuTicks, DriverError> {
        let times = processor_times().map_err(|error| unavailable("processor time", &error))?;
        let units = |time: Duration| time.as_micros() as u64;
        Ok(CpuTicks {
            busy: units(times.busy),
            idle: units(times.idle),
        })
    }

    pub(super) fn filesystems(&self, _: &Devices) -> Result<Vec<Filesystem>, DriverError> {
        let volumes = volumes()?.into_iter();
        let filesystems = volumes.map(|volume| Filesystem {
            device: volume.mount_point.clone(),
            mount_point: volume.mount_point,
            read_only: volume.read_only,
            remounts_on_error: false,
        });
        Ok(filesystems.collect())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as on systems that can fail")]
    pub(super) fn hostname(&self) -> Result<String, DriverError> {
        Ok(machine_name())
    }

    pub(super) fn machine_id(&self) -> Option<String> {
        registry_text(CRYPTOGRAPHY, "MachineGuid")
    }

    /// The version of the system.
    pub(super) fn version(&self) -> Option<String> {
        let name = registry_text(SYSTEM, "ProductName");
        let build = registry_text(SYSTEM, "CurrentBuildNumber");
        let parts: Vec<String> = name.into_iter().chain(build).collect();
        Some(parts.join(" ")).filter(|version| !version.is_empty())
    }

    pub(super) fn processors(&self) -> Processors {
        Processors {
            model: registry_text(PROCESSOR, "ProcessorNameString"),
            count: available_parallelism().ok().map(usize::from),
            memory_bytes: memory_bytes(),
        }
    }

    pub(super) fn disk(&self, name: &str) -> DiskFacts {
        let device = open(name).ok();
        let described = device.as_ref().map(DiskDevice::description);
        let described = described.unwrap_or_default();
        let has_heads = device.as_ref().and_then(DiskDevice::has_heads);
        DiskFacts {
            physical_type: match (has_heads, described.is_nvme) {
                (Some(false), true) => Some("nvme-ssd"),
                (Some(false), false) => Some("ssd"),
                (Some(true), _) => Some("hdd"),
                (None, _) => None,
            },
            status: "normal",
            health_score: None,
            serial_number: described.serial_number,
            manufacturer: described.manufacturer,
            model: described.model,
            firmware: described.firmware,
            bytes: device.as_ref().and_then(DiskDevice::bytes),
        }
    }

    pub(super) fn ports(&self) -> Result<Vec<Port>, DriverError> {
        Err(DriverError::Unsupported {
            action: "list resources",
            reason: "the driver does not read the ports of a machine with Windows".into(),
        })
    }
}

pub(super) fn usage(mount_point: &Path) -> io::Result<FilesystemUsage> {
    let space = volume_space(mount_point)?;
    Ok(FilesystemUsage {
        total: space.total,
        used: space.total.saturating_sub(space.free),
        free: space.available,
    })
}

fn open(disk: &str) -> io::Result<DiskDevice> {
    DiskDevice::open(&format!(r"\\.\{disk}"))
}

fn volumes() -> Result<Vec<Volume>, DriverError> {
    platform::volumes().map_err(|error| unavailable("the volumes", &error))
}

fn measured(number: String, role: Role, device: &DiskDevice) -> Device {
    let counters = device.counters().ok().map(|counted| Counters {
        read: io_counters(counted.read),
        write: io_counters(counted.write),
    });
    Device {
        number,
        sequence: None,
        role,
        counters,
    }
}

fn io_counters(counted: TransferCounters) -> IoCounters {
    IoCounters {
        ios: counted.operations.into(),
        sectors: counted.bytes / SECTOR_BYTES,
        busy_ms: counted.time.as_millis() as u64,
    }
}

fn unavailable(what: &str, error: &io::Error) -> DriverError {
    DriverError::Unavailable {
        reason: format!("cannot read {what}: {error}"),
    }
}
