//! Alerts about file systems: nearly full, or turned read-only.
//!
//! An alert keeps its sequence number and the time at which it was first seen
//! for as long as it lasts.

use std::{collections::BTreeMap, path::Path};

use delfin_plugin_api::NewAlert;
use uuid::Uuid;

use super::{kernel::Filesystem, machine::Machine};
use crate::collect::{
    driver::{DriverError, Options, Window},
    sink::AlertSink,
};

const NAMESPACE: Uuid = Uuid::from_u128(0x6a1f_3f0e_52c4_5d7b_9a40_1c8e_4f0b_7d21);

/// From how many percent on a file system is nearly full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    full_percent: f64,
    critical_percent: f64,
}

/// What is wrong with a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    NearlyFull,
    ReadOnly,
}

/// One alert that is active.
#[derive(Clone, Debug)]
struct Active {
    since_ms: i64,
    severity: &'static str,
    description: String,
}

/// The alerts of this machine's file systems.
pub(super) struct Watch {
    limits: Limits,
    /// Whether a file system is meant to be written to, by mount point and device.
    writable: BTreeMap<(String, String), bool>,
    active: BTreeMap<(String, Trouble), Active>,
}

impl Limits {
    /// The limits that the driver's options set.
    pub(super) fn new(options: &Options) -> Result<Self, DriverError> {
        let known = ["filesystem_full_percent", "filesystem_critical_percent"];
        if let Some(option) = options.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(
                option,
                format!("unknown (there is {})", known.join(", ")),
            ));
        }
        let limits = Self {
            full_percent: percent(options, known[0], 90.0)?,
            critical_percent: percent(options, known[1], 95.0)?,
        };
        if limits.full_percent > limits.critical_percent {
            let reason = format!(
                "{} is more than `{}`, which is {} (make it less)",
                limits.full_percent, known[1], limits.critical_percent
            );
            return Err(wrong(known[0], reason));
        }
        Ok(limits)
    }

    fn severity(self, used_percent: f64) -> Option<&'static str> {
        if used_percent >= self.critical_percent {
            return Some("Critical");
        }
        (used_percent >= self.full_percent).then_some("Major")
    }
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            writable: BTreeMap::new(),
            active: BTreeMap::new(),
        }
    }

    /// Looks at every file system.
    pub(super) fn look(&mut self, filesystems: &[Filesystem], machine: &dyn Machine) {
        let key = |f: &Filesystem| (f.mount_point.clone(), f.device.clone());
        let present: Vec<_> = filesystems.iter().map(key).collect();
        self.writable.retain(|known, _| present.contains(known));
        let earlier = std::mem::take(&mut self.active);
        for filesystem in filesystems {
            let writable = self.writable.entry(key(filesystem)).or_default();
            *writable |= !filesystem.read_only || filesystem.guarded;
            // Nobody can fill up, or need to write to, what is read-only on purpose.
            if *writable {
                self.check_space(filesystem, &earlier, machine);
                self.check_mode(filesystem, &earlier, machine);
            }
        }
    }

    /// The active alerts, or those that began in a range.
    pub(super) fn list(&self, range: Option<Window>, alerts: &mut AlertSink<'_>) {
        for ((mount_point, trouble), active) in &self.active {
            if range.is_some_and(|range| !range.contains(active.since_ms)) {
                continue;
            }
            let identity = format!("{} {mount_point}", trouble.id());
            let sequence = Uuid::new_v5(&NAMESPACE, identity.as_bytes()).to_string();
            alerts.alert(NewAlert {
                occur_time: active.since_ms,
                texts: &[
                    ("alert_id", trouble.id()),
                    ("alert_name", trouble.name()),
                    ("sequence_number", &sequence),
                    ("category", "Fault"),
                    ("severity", active.severity),
                    ("type", trouble.x733_type()),
                    ("resource_type", "Storage"),
                    ("location", mount_point),
                    ("description", &active.description),
                    ("recovery_advice", trouble.advice()),
                ],
            });
        }
    }

    fn check_space(
        &mut self,
        filesystem: &Filesystem,
        earlier: &BTreeMap<(String, Trouble), Active>,
        machine: &dyn Machine,
    ) {
        let mount_point = &filesystem.mount_point;
        let key = (mount_point.clone(), Trouble::NearlyFull);
        let used = match machine.used_percent(Path::new(mount_point)) {
            Ok(used) => used,
            Err(error) => {
                log::debug!(mount_point, error:%; "file system does not tell its space");
                // Not knowing is no recovery.
                if let Some(active) = earlier.get(&key) {
                    self.active.insert(key, active.clone());
                }
                return;
            }
        };
        if let Some(severity) = self.limits.severity(used) {
            let description = format!("file system `{mount_point}` is {used:.1} % full");
            let since_ms = since(earlier.get(&key), machine);
            let active = Active {
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
        earlier: &BTreeMap<(String, Trouble), Active>,
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
        let key = (mount_point.clone(), Trouble::ReadOnly);
        let active = Active {
            since_ms: since(earlier.get(&key), machine),
            severity: "Critical",
            description: format!("file system `{mount_point}` on `{device}` turned read-only"),
        };
        self.active.insert(key, active);
    }
}

impl Trouble {
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
            Self::ReadOnly => {
                "Look for errors of its disk in the kernel's log, check the file system, and mount it \
                 for writing again."
            }
        }
    }
}

fn since(earlier: Option<&Active>, machine: &dyn Machine) -> i64 {
    earlier.map_or_else(|| machine.now_ms(), |active| active.since_ms)
}

fn percent(options: &Options, option: &str, default: f64) -> Result<f64, DriverError> {
    let Some(value) = options.get(option) else {
        return Ok(default);
    };
    value
        .as_f64()
        .filter(|percent| (1.0..=100.0).contains(percent))
        .ok_or_else(|| wrong(option, format!("`{value}` is no number from 1 to 100")))
}

fn wrong(option: &str, reason: String) -> DriverError {
    DriverError::Option {
        option: option.to_owned(),
        reason,
    }
}
