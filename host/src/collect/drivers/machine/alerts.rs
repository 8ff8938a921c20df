//! Alerts about file systems that are nearly full or became read-only.
//!
//! An alert keeps its sequence number and its start time while its condition lasts.

use std::{collections::BTreeMap, path::Path};

use delfin_plugin_api::NewAlert;
use uuid::Uuid;

use super::{clock::Machine, facts::Filesystem, system::READ_ONLY_ADVICE};
use crate::collect::{
    builder::AlertBuilder,
    driver::{DriverError, DriverOptions, TimeWindow},
};

const NAMESPACE: Uuid = Uuid::from_u128(0x6a1f_3f0e_52c4_5d7b_9a40_1c8e_4f0b_7d21);

/// Usage in percent from which a file system is nearly full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FullThresholds {
    full_percent: f64,
    critical_percent: f64,
}

/// A condition of a file system that raises an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    NearlyFull,
    ReadOnly,
}

/// A condition that lasts.
#[derive(Clone, Debug)]
struct ActiveCondition {
    since_ms: i64,
    severity: &'static str,
    description: String,
}

/// Finds the conditions of all file systems.
pub(super) struct FilesystemMonitor {
    thresholds: FullThresholds,
    /// Whether a file system is meant to be writable, by mount point and device: it was
    /// writable before, or `errors=remount-ro` says so.
    writable: BTreeMap<(String, String), bool>,
    active: BTreeMap<(String, Condition), ActiveCondition>,
}

impl FullThresholds {
    /// Thresholds from the driver's options.
    pub(super) fn new(options: &DriverOptions) -> Result<Self, DriverError> {
        let known = ["filesystem_full_percent", "filesystem_critical_percent"];
        if let Some(option) = options.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(
                option,
                format!("unknown (the options are {})", known.join(", ")),
            ));
        }
        let thresholds = Self {
            full_percent: percent(options, known[0], 90.0)?,
            critical_percent: percent(options, known[1], 95.0)?,
        };
        if thresholds.full_percent > thresholds.critical_percent {
            let reason = format!(
                "{} is more than `{}`, which is {} (make it less)",
                thresholds.full_percent, known[1], thresholds.critical_percent
            );
            return Err(wrong(known[0], reason));
        }
        Ok(thresholds)
    }

    fn severity(self, used_percent: f64) -> Option<&'static str> {
        if used_percent >= self.critical_percent {
            return Some("Critical");
        }
        (used_percent >= self.full_percent).then_some("Major")
    }
}

impl FilesystemMonitor {
    pub(super) fn new(thresholds: FullThresholds) -> Self {
        Self {
            thresholds,
            writable: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    /// Checks every file system. A condition that is not found again has ended.
    pub(super) fn update(&mut self, filesystems: &[Filesystem], machine: &dyn Machine) {
        let key = |f: &Filesystem| (f.mount_point.clone(), f.device.clone());
        let present: Vec<_> = filesystems.iter().map(key).collect();
        self.writable.retain(|known, _| present.contains(known));
        let earlier = std::mem::take(&mut self.active);
        for filesystem in filesystems {
            let writable = self.writable.entry(key(filesystem)).or_default();
            *writable |= !filesystem.read_only || filesystem.remounts_on_error;
            // A file system that is read-only on purpose neither fills up nor fails.
            if *writable {
                self.check_space(filesystem, &earlier, machine);
                self.check_mode(filesystem, &earlier, machine);
            }
        }
    }

    /// Adds the alerts of active conditions; with a range, of those that started in it.
    pub(super) fn list(&self, range: Option<TimeWindow>, alerts: &mut AlertBuilder<'_>) {
        for ((mount_point, condition), active) in &self.active {
            if range.is_some_and(|range| !range.contains(active.since_ms)) {
                continue;
            }
            let identity = format!("{} {mount_point}", condition.id());
            let sequence = Uuid::new_v5(&NAMESPACE, identity.as_bytes()).to_string();
            alerts.alert(NewAlert {
                occur_time: active.since_ms,
                texts: &[
                    ("alert_id", condition.id()),
                    ("alert_name", condition.name()),
                    ("sequence_number", &sequence),
                    ("category", "Fault"),
                    ("severity", active.severity),
                    ("type", condition.x733_type()),
                    ("resource_type", "Storage"),
                    ("location", mount_point),
                    ("description", &active.description),
                    ("recovery_advice", condition.advice()),
                ],
            });
        }
    }

    fn check_space(
        &mut self,
        filesystem: &Filesystem,
        earlier: &BTreeMap<(String, Condition), ActiveCondition>,
        machine: &dyn Machine,
    ) {
        let mount_point = &filesystem.mount_point;
        let key = (mount_point.clone(), Condition::NearlyFull);
        let used = match machine.usage(Path::new(mount_point)) {
            Ok(usage) => usage.used_percent(),
            Err(error) => {
                log::debug!(mount_point, error:%; "cannot read the usage of the file system");
                // An unknown usage does not end the condition.
                if let Some(active) = earlier.get(&key) {
                    self.active.insert(key, active.clone());
                }
                return;
            }
        };
        if let Some(severity) = self.thresholds.severity(used) {
            let description = format!("file system `{mount_point}` is {used:.1} % full");
            let since_ms = start_ms(earlier.get(&key), machine);
            let active = ActiveCondition {
                since_ms,
                severity,
                description,
            };
            self.active.insert(key, active);
        }
    }

    fn check_mode(
        &mut self,
        filesystem: &Filesystem,
        earlier: &BTreeMap<(String, Condition), ActiveCondition>,
        machine: &dyn Machine,
    ) {
        if !filesystem.read_only {
            return;
        }
        let Filesystem {
            mount_point,
            device,
            ..
        } = filesystem;
        let key = (mount_point.clone(), Condition::ReadOnly);
        let active = ActiveCondition {
            since_ms: start_ms(earlier.get(&key), machine),
            severity: "Critical",
            description: format!("file system `{mount_point}` on `{device}` turned read-only"),
        };
        self.active.insert(key, active);
    }
}

impl Condition {
    fn id(self) -> &'static str {
        match self {
            Self::NearlyFull => "filesystem-nearly-full",
            Self::ReadOnly => "filesystem-read-only",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NearlyFull => "file system nearly full",
            Self::ReadOnly => "file system turned read-only",
        }
    }

    fn x733_type(self) -> &'static str {
        match self {
            Self::NearlyFull => "ProcessingErrorAlarm",
            Self::ReadOnly => "EquipmentAlarm",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::NearlyFull => "Delete what is not needed, or make the file system larger.",
            Self::ReadOnly => READ_ONLY_ADVICE,
        }
    }
}

fn start_ms(earlier: Option<&ActiveCondition>, machine: &dyn Machine) -> i64 {
    earlier.map_or_else(|| machine.now_ms(), |active| active.since_ms)
}

fn percent(options: &DriverOptions, option: &str, default: f64) -> Result<f64, DriverError> {
    let Some(value) = options.get(option) else {
        return Ok(default);
    };
    value
        .as_f64()
        .filter(|percent| (1.0..=100.0).contains(percent))
        .ok_or_else(|| wrong(option, format!("`{value}` is not a number from 1 to 100")))
}

fn wrong(option: &str, reason: String) -> DriverError {
    DriverError::Option {
        option: option.to_owned(),
        reason,
    }
}
