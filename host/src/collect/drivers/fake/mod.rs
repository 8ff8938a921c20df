//! A simulated storage, to try out the host and its exporters.
//!
//! The options set the number of resources. The storage has four alerts, uses no
//! network and never blocks. A value depends on seed, storage and time only: it is the
//! same in each window that includes the time.

mod options;
mod resources;

use uuid::Uuid;

use self::options::{Counts, FakeOptions};
use crate::{
    clock::now_ms,
    collect::{
        builder::{AlertBuilder, SeriesBuilder},
        driver::{Capabilities, Driver, DriverError, DriverOptions, TimeWindow},
        metric::{self, Resource, ResourceType},
        resource::{ResourceFields, ResourceKind},
        storage_info::{Capacity, StorageDetails, StorageInfo},
    },
};
use delfin_plugin_api::NewAlert;

/// The vendor that a storage of this driver is declared with.
pub const VENDOR: &str = "fake_storage";
/// The model that a storage of this driver is declared with.
pub const MODEL: &str = "fake_driver";

/// Interval of the points.
const POINT_MS: i64 = 60_000;
const RETENTION_MS: i64 = 4_500_000;
const SERIAL_NAMESPACE: Uuid = Uuid::from_u128(0x5b0f_6d1e_72c4_4a0b_9d35_c8e1_20f7_46aa);

/// Sequence number, name, severity, type, location, description and advice of each alert.
const ALERTS: [[&str; 7]; 4] = [
    [
        "100",
        "SNMP connect failed",
        "Major",
        "OperationalViolation",
        "NetworkEntity=entity1",
        "SNMP connection to the storage failed.",
        "Check snmp configurations.",
    ],
    [
        "101",
        "Link state down",
        "Critical",
        "CommunicationsAlarm",
        "NetworkEntity=entity2",
        "Backend link has gone down",
        "Recheck the network configuration setting.",
    ],
    [
        "102",
        "Power failure",
        "Fatal",
        "OperationalViolation",
        "NetworkEntity=entity3",
        "Power failure occurred.",
        "Investigate power connection.",
    ],
    [
        "103",
        "Communication failure",
        "Critical",
        "CommunicationsAlarm",
        "NetworkEntity=network1",
        "Communication link gone down",
        "Consult network administrator",
    ],
];

/// Simulates one storage.
pub struct FakeDriver {
    serial_number: String,
    counts: Counts,
    is_historic: bool,
    /// Decides all values, together with the storage's id.
    seed: u64,
    /// Creation time of the driver, and the time of its alerts.
    created_ms: i64,
}

impl FakeDriver {
    /// A driver for the storage of that id.
    ///
    /// # Errors
    ///
    /// An option is unknown or out of range.
    pub fn new(storage_id: &str, options: &DriverOptions) -> Result<Self, DriverError> {
        let FakeOptions {
            counts,
            is_historic,
            seed,
        } = FakeOptions::read(options)?;
        let serial = Uuid::new_v5(&SERIAL_NAMESPACE, storage_id.as_bytes());
        let (high, low) = serial.as_u64_pair();
        Ok(Self {
            serial_number: serial.to_string(),
            counts,
            is_historic,
            seed: mix(mix(high ^ seed) ^ low),
            created_ms: now_ms(),
        })
    }

    fn number(&self, what: u64, from: u64, below: u64) -> u64 {
        from + mix(self.seed ^ what) % (below - from)
    }
}

impl Driver for FakeDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let total = self.number(1, 1_000, 2_000);
        let used = self.number(2, 0, total);
        Ok(StorageInfo {
            name: "fake_driver".to_owned(),
            vendor: "fake_vendor".to_owned(),
            model: "fake_model".to_owned(),
            serial_number: self.serial_number.clone(),
            details: StorageDetails {
                description: Some("fake driver.".to_owned()),
                location: Some("HK".to_owned()),
                firmware_version: Some("1.0.0".to_owned()),
                capacity: Capacity {
                    total,
                    used,
                    free: total - used,
                    raw: self.number(3, 2_000, 3_000),
                    subscribed: self.number(4, 3_000, 4_000),
                },
                data_reduction: Some(self.number(5, 10, 50) as f64 / 10.0),
            },
        })
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        Ok(Capabilities {
            retention_ms: Some(RETENTION_MS),
            ..Capabilities::new(self.is_historic, &metric::STANDARD)
        })
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        let storage_id = series.storage_id();
        let mut number = 0;
        for (resource_type, metrics) in metric::STANDARD {
            for at in 0..self.counts.of(resource_type) {
                let id = match resource_type {
                    ResourceType::Storage => storage_id.to_owned(),
                    ResourceType::StoragePool
                    | ResourceType::Volume
                    | ResourceType::Controller
                    | ResourceType::Port
                    | ResourceType::Disk
                    | ResourceType::Filesystem => format!("{}_{at}", resource_type.as_str()),
                };
                let resource = Resource {
                    resource_type,
                    id: &id,
                };
                for metric in metrics {
                    number += 1;
                    let seed = mix(self.seed ^ number);
                    let points = times(window).map(|time| (time, value(seed, time)));
                    series.series(resource, *metric, points)?;
                }
            }
        }
        Ok(())
    }

    fn list_alerts(
        &mut self,
        // Delfin's fake driver ignores the range, and its guide relies on that.
        _range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        for (at, alert) in ALERTS.iter().enumerate() {
            let [
                sequence_number,
                name,
                severity,
                kind,
                location,
                description,
                advice,
            ] = *alert;
            let alert_id = self
                .number(10 + at as u64, 1_000_000, 10_000_000)
                .to_string();
            alerts.alert(NewAlert {
                occur_time: self.created_ms,
                texts: &[
                    ("alert_id", alert_id.as_str()),
                    ("sequence_number", sequence_number),
                    ("alert_name", name),
                    ("category", "Fault"),
                    ("severity", severity),
                    ("type", kind),
                    ("location", location),
                    ("description", description),
                    ("recovery_advice", advice),
                ],
            });
        }
        Ok(())
    }

    fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
        Ok(())
    }

    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        Ok(resources::list(self, kind))
    }
}

/// One point per minute from the start of the window, and at least one. The number is
/// rounded, because a scheduled window is often a few milliseconds longer than a minute.
fn times(window: TimeWindow) -> impl Iterator<Item = i64> {
    let length = window.end_ms - window.start_ms;
    let count = ((length + POINT_MS / 2) / POINT_MS).max(1);
    (0..count).map(move |at| window.start_ms + at * POINT_MS)
}

/// A value from 1 to 100.
fn value(seed: u64, time_ms: i64) -> f64 {
    let bits = mix(seed ^ time_ms.cast_unsigned()) >> 11;
    1.0 + 99.0 * (bits as f64 / (1_u64 << 53) as f64)
}

/// A hash: neighbouring numbers give unrelated results (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
