//! From two readings of the machine to series.

use super::{
    CPU_USAGE, Reading,
    kernel::{Filesystem, Role},
    rates::{Counters, MEASURES, Measure},
};
use crate::collect::{
    driver::{DriverError, Resource, ResourceType},
    sink::SeriesSink,
};

/// What two readings say, on its way into a batch.
pub(super) struct Report<'a, 'b> {
    pub(super) earlier: &'a Reading,
    pub(super) now: &'a Reading,
    pub(super) seconds: f64,
    pub(super) time_ms: i64,
    pub(super) series: &'a mut SeriesSink<'b>,
}

impl Report<'_, '_> {
    /// Writes every series.
    pub(super) fn write(&mut self, filesystems: &[Filesystem]) -> Result<(), DriverError> {
        self.total()?;
        self.cpu()?;
        let now = self.now;
        for (name, device) in &now.devices {
            if device.role != Role::Part {
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
            .filter_map(|(name, _)| self.moved(name))
            .reduce(|total, disk| total.plus(&disk));
        let Some(total) = total else {
            return Ok(());
        };
        let id = self.series.storage_id().to_owned();
        self.measures(ResourceType::Storage, &id, &total)
    }

    fn cpu(&mut self) -> Result<(), DriverError> {
        let (earlier, now) = (self.earlier.cpu, self.now.cpu);
        // The idle time of a processor that was switched off leaves the sum.
        let busy = now.busy.saturating_sub(earlier.busy);
        let all = busy + now.idle.saturating_sub(earlier.idle);
        if all == 0 {
            return Ok(());
        }
        let resource = Resource {
            resource_type: ResourceType::Controller,
            id: "cpu",
        };
        let usage = 100.0 * busy as f64 / all as f64;
        self.series
            .series(resource, CPU_USAGE, [(self.time_ms, usage)])
    }

    fn device(
        &mut self,
        resource_type: ResourceType,
        id: &str,
        device: &str,
    ) -> Result<(), DriverError> {
        match self.moved(device) {
            Some(moved) => self.measures(resource_type, id, &moved),
            None => Ok(()),
        }
    }

    fn measures(
        &mut self,
        resource_type: ResourceType,
        id: &str,
        moved: &Counters,
    ) -> Result<(), DriverError> {
        let resource = Resource { resource_type, id };
        let left_out = usize::from(resource_type == ResourceType::Filesystem);
        for Measure { metric, of } in &MEASURES[left_out..] {
            let point = (self.time_ms, of(moved, self.seconds));
            self.series.series(resource, *metric, [point])?;
        }
        Ok(())
    }

    /// What a device did between the readings, if it is the same in both.
    fn moved(&self, name: &str) -> Option<Counters> {
        let (earlier, now) = (self.earlier.devices.get(name)?, self.now.devices.get(name)?);
        let moved = now.counters.since(&earlier.counters);
        moved.filter(|_| now.is(earlier))
    }
}
