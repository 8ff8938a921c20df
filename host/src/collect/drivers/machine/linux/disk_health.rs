//! The health of a disk, as the kernel's files show it.
//!
//! They are readable by every user, but not for every disk: SMART data needs rights to the device,
//! which the host does not have, except for the wear that eMMC reports.

use std::{fs, path::Path};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiskHealth {
    /// In Delfin's words.
    pub(super) status: &'static str,
    /// In percent, 100 is new.
    pub(super) score: Option<u64>,
}

/// The health of the disk with this folder in `sys/block`.
pub(super) fn disk_health(block: &Path) -> DiskHealth {
    let text = |file: &str| {
        let text = fs::read_to_string(block.join(file)).ok()?;
        Some(text.trim().to_owned())
    };
    let array = text("md/array_state").map(|state| {
        let is_degraded = text("md/degraded").is_some_and(|missing| missing != "0");
        match state.as_str() {
            "broken" | "faulty" => "abnormal",
            "inactive" | "clear" => "offline",
            _ if is_degraded => "degraded",
            _ => "normal",
        }
    });
    // Of a SCSI disk, or of the controller of an NVMe disk.
    let device = text("device/state").map(|state| match state.as_str() {
        "offline" | "transport-offline" | "cancel" | "deleted" | "deleting" => "offline",
        "dead" => "abnormal",
        "resetting" | "connecting" | "blocked" => "degraded",
        _ => "normal",
    });
    let reserve = text("device/pre_eol_info").and_then(|blocks| match hex(&blocks)? {
        1 => Some("normal"),
        2 => Some("degraded"),
        3 => Some("abnormal"),
        _ => None,
    });
    DiskHealth {
        status: array.or(device).or(reserve).unwrap_or("normal"),
        score: text("device/life_time").and_then(|wear| remaining_life(&wear)),
    }
}

/// The life that is left, of the worst of the two kinds of memory. `0x01` is up to a tenth used,
/// `0x0b` more than all.
fn remaining_life(wear: &str) -> Option<u64> {
    let tenths = wear.split_whitespace().filter_map(hex).max()?;
    (1..=11).contains(&tenths).then(|| 100 - (tenths - 1) * 10)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(files: &[(&str, &str)]) -> (&'static str, Option<u64>) {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        let DiskHealth { status, score } = disk_health(folder.path());
        (status, score)
    }

    #[test]
    fn a_disk_has_the_state_of_its_device_or_of_its_array() {
        for (files, expected) in [
            (&[][..], "normal"),
            (&[("device/state", "running")], "normal"),
            (&[("device/state", "transport-offline")], "offline"),
            (&[("device/state", "dead")], "abnormal"),
            (&[("device/state", "resetting")], "degraded"),
            (
                &[("md/array_state", "clean"), ("md/degraded", "0")],
                "normal",
            ),
            (
                &[("md/array_state", "clean"), ("md/degraded", "1")],
                "degraded",
            ),
            (
                &[("md/array_state", "broken"), ("md/degraded", "1")],
                "abnormal",
            ),
            (&[("device/pre_eol_info", "0x02")], "degraded"),
            (&[("device/pre_eol_info", "0x00")], "normal"),
        ] {
            assert_eq!(health(files), (expected, None), "{files:?}");
        }
    }

    #[test]
    fn the_worse_wear_of_flash_memory_is_its_score() {
        for (wear, expected) in [
            ("0x01 0x01", Some(100)),
            ("0x02 0x04", Some(70)),
            ("0x0b 0x01", Some(0)),
            ("0x00 0x00", None),
            ("?", None),
        ] {
            assert_eq!(health(&[("device/life_time", wear)]).1, expected, "{wear}");
        }
    }
}
