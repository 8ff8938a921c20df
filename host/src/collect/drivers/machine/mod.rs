//! The machine that the host runs on, as a storage: disks, file systems, processors.
//!
//! The driver reads the system's counters and needs no access data. A rate is the
//! average between two readings; its time is the end of the window.
//!
//! A disk that appeared, vanished or was reset between two readings has no point for
//! that window and is not part of the total.

mod alerts;
mod clock;
mod facts;
#[cfg(target_os = "linux")]
mod linux;
mod rates;
mod report;
mod resources;
#[cfg(windows)]
mod windows;

use std::time::Duration;

use uuid::Uuid;

#[cfg(target_os = "linux")]
use self::linux::{self as system, LinuxKernel as Kernel};
#[cfg(windows)]
use self::windows::{self as system, WindowsKernel as Kernel};
use self::{
    alerts::{FilesystemMonitor, FullThresholds},
    clock::{Machine, ThisMachine},
    facts::Filesystem,
    rates::RATE_METRICS,
    report::{Reading, SeriesReport},
    resources::ResourceReader,
};
use crate::collect::{
    builder::{AlertBuilder, SeriesBuilder},
    driver::{Capabilities, Driver, DriverError, DriverOptions, TimeWindow},
    metric::{CPU_USAGE, Metric, ResourceType},
    resource::{ResourceFields, ResourceKind},
    storage_info::{StorageDetails, StorageInfo},
};

/// The vendor that a storage of this driver is declared with.
pub const VENDOR: &str = std::env::consts::OS;
/// The model that a storage of this driver is declared with.
pub const MODEL: &str = "host";

const SERIAL_NAMESPACE: Uuid = Uuid::from_u128(0xd1c5_0b6e_93a7_5f18_8e2d_7b40_6c19_a3f5);
/// Minimum time between two readings. In less time, a single operation gives a high rate.
const MIN_ELAPSED: Duration = Duration::from_secs(1);

const DEVICE_METRICS: [Metric<'static>; RATE_METRICS.len()] = {
    let mut metrics = [CPU_USAGE; RATE_METRICS.len()];
    let mut at = 0;
    while at < RATE_METRICS.len() {
        metrics[at] = RATE_METRICS[at].metric;
        at += 1;
    }
    metrics
};
const RESOURCE_METRICS: &[(ResourceType, &[Metric<'static>])] = &[
    (ResourceType::Storage, &DEVICE_METRICS),
    (ResourceType::Controller, &[CPU_USAGE]),
    (ResourceType::Disk, &DEVICE_METRICS),
    (ResourceType::Filesystem, DEVICE_METRICS.split_at(1).1),
];

/// Measures the machine that it runs on.
pub struct MachineDriver {
    kernel: Kernel,
    machine: Box<dyn Machine>,
    /// Start of the next measurement. `None` until a reading succeeds.
    last: Option<Reading>,
    filesystems: FilesystemMonitor,
}

impl MachineDriver {
    /// A driver for this machine.
    ///
    /// # Errors
    ///
    /// An option is unknown or out of range.
    pub fn new(options: &DriverOptions) -> Result<Self, DriverError> {
        Self::with_machine(Kernel::default(), Box::new(ThisMachine::new()), options)
    }

    fn with_machine(
        kernel: Kernel,
        machine: Box<dyn Machine>,
        options: &DriverOptions,
    ) -> Result<Self, DriverError> {
        let mut driver = Self {
            filesystems: FilesystemMonitor::new(FullThresholds::new(options)?),
            kernel,
            machine,
            last: None,
        };
        // If this fails, the first collection tries again and reports the error.
        driver.last = driver.read().ok();
        Ok(driver)
    }

    fn read(&self) -> Result<Reading, DriverError> {
        Ok(Reading {
            awake: self.machine.awake(),
            devices: self.kernel.devices()?,
            cpu: self.kernel.cpu()?,
        })
    }

    /// Writes the rates between an earlier reading and now. Returns the new reading.
    fn measure(
        &self,
        earlier: &Reading,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<Reading, DriverError> {
        let age = self.machine.awake().saturating_sub(earlier.awake);
        // The first collection often follows directly after the reading of the constructor.
        self.machine.wait(MIN_ELAPSED.saturating_sub(age));
        let now = self.read()?;
        let elapsed = now.awake.saturating_sub(earlier.awake);
        if elapsed.is_zero() {
            return Err(DriverError::Unavailable {
                reason: "no time has passed since the last reading".to_owned(),
            });
        }
        let filesystems = self.kernel.filesystems(&now.devices)?;
        let mut report = SeriesReport {
            earlier,
            now: &now,
            seconds: elapsed.as_secs_f64(),
            time_ms: window.end_ms,
            series,
        };
        report.write(&filesystems)?;
        Ok(now)
    }

    fn resources(&self) -> ResourceReader<'_> {
        ResourceReader {
            kernel: &self.kernel,
            machine: self.machine.as_ref(),
        }
    }

    /// Capacity and version; what cannot be read is unknown.
    fn details(&self) -> StorageDetails {
        let devices = self.kernel.devices().unwrap_or_default();
        let filesystems = self.kernel.filesystems(&devices).unwrap_or_default();
        self.resources().details(&devices, &filesystems)
    }

    fn read_filesystems(&self) -> Result<Vec<Filesystem>, DriverError> {
        self.kernel.filesystems(&self.kernel.devices()?)
    }
}

impl Driver for MachineDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let name = self.kernel.hostname()?;
        // The machine id is confidential, so show a hash of it.
        let id = self.kernel.machine_id().unwrap_or_else(|| name.clone());
        Ok(StorageInfo {
            name,
            vendor: VENDOR.to_owned(),
            model: MODEL.to_owned(),
            serial_number: Uuid::new_v5(&SERIAL_NAMESPACE, id.as_bytes()).to_string(),
            details: self.details(),
        })
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        Ok(Capabilities::new(false, RESOURCE_METRICS))
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        let earlier = match self.last.take() {
            Some(reading) => reading,
            None => self.read()?,
        };
        let measured = self.measure(&earlier, window, series);
        // After a failure keep the earlier reading: the next collection then covers the
        // time of both.
        let (last, result) = match measured {
            Ok(now) => (now, Ok(())),
            Err(error) => (earlier, Err(error)),
        };
        self.last = Some(last);
        result
    }

    fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let filesystems = self.read_filesystems()?;
        self.filesystems.update(&filesystems, self.machine.as_ref());
        self.filesystems.list(range, alerts);
        Ok(())
    }

    fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
        Err(DriverError::Unsupported {
            action: "clear an alert",
            reason: "the alert ends when its file system recovers".into(),
        })
    }

    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        let reader = self.resources();
        match kind {
            ResourceKind::Controllers => Ok(reader.controllers()),
            ResourceKind::Ports => reader.ports(),
            ResourceKind::Disks => Ok(reader.disks(&self.kernel.devices()?)),
            ResourceKind::Filesystems => Ok(reader.filesystems(&self.read_filesystems()?)),
            ResourceKind::StoragePools
            | ResourceKind::Volumes
            | ResourceKind::Qtrees
            | ResourceKind::Quotas
            | ResourceKind::Shares
            | ResourceKind::StorageHostInitiators
            | ResourceKind::StorageHosts
            | ResourceKind::StorageHostGroups
            | ResourceKind::PortGroups
            | ResourceKind::VolumeGroups
            | ResourceKind::MaskingViews => Err(resources::unsupported(kind)),
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
