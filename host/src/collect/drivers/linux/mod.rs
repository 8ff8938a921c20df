//! The machine that the host runs on, as a storage.
//!
//! Its disks, its file systems and its processors, from what the kernel counts;
//! no access data is needed. Every rate is the average between two readings and
//! has the end of the window as its time.
//!
//! A disk that came, went or began to count anew between two readings has no
//! point for that window, and no part in the total.

mod alerts;
mod kernel;
mod machine;
mod rates;
mod report;

use std::{path::PathBuf, time::Duration};

use uuid::Uuid;

use self::{
    alerts::{Limits, Watch},
    kernel::{CpuTicks, Devices, Filesystem, Kernel},
    machine::{Machine, ThisMachine},
    rates::MEASURES,
    report::Report,
};
use crate::collect::{
    driver::{
        Capabilities, Driver, DriverError, Metric, Options, ResourceType, StorageDetails,
        StorageInfo, Window,
    },
    sink::{AlertSink, SeriesSink},
};

/// The vendor that a storage of this driver is declared with.
pub const VENDOR: &str = "linux";
/// The model that a storage of this driver is declared with.
pub const MODEL: &str = "host";

const SERIAL_NAMESPACE: Uuid = Uuid::from_u128(0xd1c5_0b6e_93a7_5f18_8e2d_7b40_6c19_a3f5);
/// Between readings that are closer, single operations look like a rate.
const MIN_ELAPSED: Duration = Duration::from_secs(1);

const CPU_USAGE: Metric<'static> = Metric {
    name: "cpuUsage",
    unit: "%",
};
const DEVICE_METRICS: [Metric<'static>; MEASURES.len()] = {
    let mut metrics = [CPU_USAGE; MEASURES.len()];
    let mut at = 0;
    while at < MEASURES.len() {
        metrics[at] = MEASURES[at].metric;
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
pub struct LinuxDriver {
    kernel: Kernel,
    machine: Box<dyn Machine>,
    last: Option<Reading>,
    watch: Watch,
}

/// All counters at one moment.
struct Reading {
    awake: Duration,
    devices: Devices,
    cpu: CpuTicks,
}

impl LinuxDriver {
    /// A driver for this machine.
    ///
    /// # Errors
    ///
    /// An option is unknown or out of range.
    pub fn new(options: &Options) -> Result<Self, DriverError> {
        Self::with_machine(PathBuf::from("/"), Box::new(ThisMachine::new()), options)
    }

    fn with_machine(
        root: PathBuf,
        machine: Box<dyn Machine>,
        options: &Options,
    ) -> Result<Self, DriverError> {
        let mut driver = Self {
            watch: Watch::new(Limits::new(options)?),
            kernel: Kernel::new(root),
            machine,
            last: None,
        };
        // What cannot be read now is read by the first collection, which reports it.
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

    fn measure(
        &self,
        earlier: &Reading,
        window: Window,
        series: &mut SeriesSink<'_>,
    ) -> Result<Reading, DriverError> {
        let age = self.machine.awake().saturating_sub(earlier.awake);
        self.machine.wait(MIN_ELAPSED.saturating_sub(age));
        let now = self.read()?;
        let elapsed = now.awake.saturating_sub(earlier.awake);
        if elapsed.is_zero() {
            return Err(DriverError::Unavailable {
                reason: "no time has passed since the last reading".to_owned(),
            });
        }
        let filesystems = self.kernel.filesystems(&now.devices)?;
        let mut report = Report {
            earlier,
            now: &now,
            seconds: elapsed.as_secs_f64(),
            time_ms: window.end_ms,
            series,
        };
        report.write(&filesystems)?;
        Ok(now)
    }

    fn filesystems(&self) -> Result<Vec<Filesystem>, DriverError> {
        self.kernel.filesystems(&self.kernel.devices()?)
    }
}

impl Driver for LinuxDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let name = self.kernel.hostname()?;
        // The machine's own id is confidential: what is shown cannot be turned back.
        let id = self.kernel.machine_id().unwrap_or_else(|| name.clone());
        Ok(StorageInfo {
            name,
            vendor: VENDOR.to_owned(),
            model: MODEL.to_owned(),
            serial_number: Uuid::new_v5(&SERIAL_NAMESPACE, id.as_bytes()).to_string(),
            details: StorageDetails::default(),
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            is_historic: false,
            retention_ms: None,
            resource_metrics: RESOURCE_METRICS,
        }
    }

    fn collect(&mut self, window: Window, series: &mut SeriesSink<'_>) -> Result<(), DriverError> {
        let earlier = match self.last.take() {
            Some(reading) => reading,
            None => self.read()?,
        };
        let measured = self.measure(&earlier, window, series);
        // After a failure the next collection starts from the same reading, so
        // that it makes up for this one.
        let (last, result) = match measured {
            Ok(now) => (now, Ok(())),
            Err(error) => (earlier, Err(error)),
        };
        self.last = Some(last);
        result
    }

    fn list_alerts(
        &mut self,
        range: Option<Window>,
        alerts: &mut AlertSink<'_>,
    ) -> Result<(), DriverError> {
        let filesystems = self.filesystems()?;
        self.watch.look(&filesystems, self.machine.as_ref());
        self.watch.list(range, alerts);
        Ok(())
    }

    fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
        Err(DriverError::Unsupported {
            action: "clear an alert",
            reason: "it ends when its file system is well again",
        })
    }
}

#[cfg(test)]
mod tests;
