//! Writes the series of a window from two readings of the machine.

use std::time::Duration;

use super::{
    facts::{CpuTicks, Devices, Filesystem, Role},
    rates::{Counters, RATE_METRICS, RateMetric},
};
use crate::collect::{
    builder::SeriesBuilder,
    driver::DriverError,
    metric::{CPU_USAGE, Resource, ResourceType},
};

/// The id of the processors.
pub(super) const PROCESSORS: &str = "cpu";

/// All counters at one moment.
pub(super) struct Reading {
    /// Time that the machine was awake, on a clock of its own.
    pub(super) awake: Duration,
    pub(super) devices: Devices,
    pub(super) cpu: CpuTicks,
}

/// Writes what happened between two readings into a batch.
pub(super) struct SeriesReport<'a, 'b> {
    pub(super) earlier: &'a Reading,
    pub(super) now: &'a Reading,
    pub(super) seconds: f64,
    pub(super) time_ms: i64,
    pub(super) series: &'a mut SeriesBuilder<'b>,
}

impl SeriesReport<'_, '_> {
    pub(super) fn write(&mut self, filesystems: &[Filesystem]) -> Result<(), DriverError> {
        self.total()?;
        self.cpu()?;
        let now = self.now;
        for (name, device) in &now.devices {
            if device.role != Role::Other {
                self.device(ResourceType::Disk, name, name)?;
            }
        }
        for filesystem in filesystems {
            let Filesystem {
                mount_point,
                device,
                ..
            } = filesystem;
            self.device(ResourceType::Filesystem, mount_point, device)?;
        }
        Ok(())
    }

    fn total(&mut self) -> Result<(), DriverError> {
        let disks = self.now.devices.iter();
        let disks = disks.filter(|(_, device)| device.role == Role::Disk);
        let total = disks
            .filter_map(|(name, _)| self.difference(name))
            .reduce(|total, disk| total.plus(&disk));
        let Some(total) = total else {
            return Ok(());
        };
        let id = self.series.storage_id().to_owned();
        self.rates(ResourceType::Storage, &id, &total)
    }

    fn cpu(&mut self) -> Result<(), DriverError> {
        let (earlier, now) = (self.earlier.cpu, self.now.cpu);
        // The idle ticks of a processor that goes offline disappear from the sum, so a
        // difference can be negative.
        let busy = now.busy.saturating_sub(earlier.busy);
        let all = busy + now.idle.saturating_sub(earlier.idle);
        if all == 0 {
            return Ok(());
        }
        let resource = Resource {
            resource_type: ResourceType::Controller,
            id: PROCESSORS,
        };
        let usage = 100.0 * busy as f64 / all as f64;
        let point = (self.time_ms, usage);
        Ok(self.series.series(resource, CPU_USAGE, [point])?)
    }

    fn device(
        &mut self,
        resource_type: ResourceType,
        id: &str,
        device: &str,
    ) -> Result<(), DriverError> {
        match self.difference(device) {
            Some(difference) => self.rates(resource_type, id, &difference),
            None => Ok(()),
        }
    }

    fn rates(
        &mut self,
        resource_type: ResourceType,
        id: &str,
        difference: &Counters,
    ) -> Result<(), DriverError> {
        let resource = Resource { resource_type, id };
        // Delfin's schema has no `responseTime` of a file system. It is the first metric.
        let skipped = usize::from(resource_type == ResourceType::Filesystem);
        for RateMetric { metric, compute } in &RATE_METRICS[skipped..] {
            let point = (self.time_ms, compute(difference, self.seconds));
            self.series.series(resource, *metric, [point])?;
        }
        Ok(())
    }

    /// What a device counted between the readings. `None` if it was reset, if another
    /// device has its name now, or if its counters are unknown.
    fn difference(&self, name: &str) -> Option<Counters> {
        let (earlier, now) = (self.earlier.devices.get(name)?, self.now.devices.get(name)?);
        let difference = now.counters?.since(&earlier.counters?);
        difference.filter(|_| now.is_same_disk(earlier))
    }
}
