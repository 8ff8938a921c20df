//! A storage that does not exist, for trying out everything behind it.
//!
//! It measures as many resources as its options say, has four alerts, connects
//! to nothing and never waits. The same seed, storage and time give the same
//! values, whatever the window they are asked in.
//!
//! Knows nothing of other storages: two of them share nothing.

mod metrics;
mod options;

use uuid::Uuid;

use self::{
    metrics::RESOURCE_METRICS,
    options::{Counts, FakeOptions},
};
use crate::{
    clock::now_ms,
    collect::{
        driver::{
            Capabilities, Capacity, Driver, DriverError, Options, Resource, ResourceType,
            StorageDetails, StorageInfo, Window,
        },
        sink::{AlertSink, SeriesSink},
    },
};
use delfin_plugin_api::NewAlert;

/// The vendor that a storage of this driver is declared with.
pub const VENDOR: &str = "fake_storage";
/// The model that a storage of this driver is declared with.
pub const MODEL: &str = "fake_driver";

/// How long, in its own history, a point stands for.
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

/// Makes up one storage.
pub struct FakeDriver {
    serial_number: String,
    counts: Counts,
    is_historic: bool,
    /// What all of its numbers are made from.
    seed: u64,
    /// Its alerts began when it did.
    began_ms: i64,
}

impl FakeDriver {
    /// A driver for the storage of that id.
    ///
    /// # Errors
    ///
    /// An option is unknown or out of range.
    pub fn new(storage_id: &str, options: &Options) -> Result<Self, DriverError> {
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
            began_ms: now_ms(),
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
            },
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            is_historic: self.is_historic,
            retention_ms: Some(RETENTION_MS),
            resource_metrics: RESOURCE_METRICS,
        }
    }

    fn collect(&mut self, window: Window, series: &mut SeriesSink<'_>) -> Result<(), DriverError> {
        let storage_id = series.storage_id();
        let mut number = 0;
        for (resource_type, metrics) in RESOURCE_METRICS {
            for at in 0..self.counts.of(*resource_type) {
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
                    resource_type: *resource_type,
                    id: &id,
                };
                for metric in *metrics {
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
        // A range that the caller made up must not hide the alerts there are.
        _range: Option<Window>,
        alerts: &mut AlertSink<'_>,
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
                occur_time: self.began_ms,
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
}

/// One point a minute from the window's start, and at least one: a window that
/// is a moment longer than a minute, as a schedule makes them, is not two.
fn times(window: Window) -> impl Iterator<Item = i64> {
    let length = window.end_ms - window.start_ms;
    let count = ((length + POINT_MS / 2) / POINT_MS).max(1);
    (0..count).map(move |at| window.start_ms + at * POINT_MS)
}

/// A value from 1 to 100.
fn value(seed: u64, time_ms: i64) -> f64 {
    let bits = mix(seed ^ time_ms.cast_unsigned()) >> 11;
    1.0 + 99.0 * (bits as f64 / (1_u64 << 53) as f64)
}

/// Neighbouring numbers give results that have nothing in common (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
