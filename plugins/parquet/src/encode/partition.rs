//! The folder of a row: its day and its storage, in the names that Hive uses.
//!
//! Promises: a partition is a path that every file system and S3 accept; two storages never share
//! one, except those without an id of their own in the path.

use std::fmt::{self, Display};

use chrono::{DateTime, Datelike, NaiveDate};

/// Null in the name of a folder.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

const MILLIS_OF_DAY: i64 = 86_400_000;

/// The longest id in a path, as it is written there. File systems allow names of 255 bytes.
const MAX_ID_BYTES: usize = 200;

/// The rows of a file: those of one day and one storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition<'a> {
    /// `None`: the year does not have four digits.
    date: Option<NaiveDate>,
    storage_id: Option<&'a str>,
}

impl<'a> Partition<'a> {
    /// The partition of a time, in milliseconds since the Unix epoch, and of a storage.
    pub(super) fn new(time_ms: i64, storage_id: Option<&'a str>) -> Self {
        Self {
            date: date_of(time_ms),
            storage_id: storage_id.filter(|id| is_in_path(id)),
        }
    }
}

/// The number of the day of a time, in UTC.
pub(super) fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(MILLIS_OF_DAY)
}

/// Whether the path holds the id of the storage. Otherwise the columns do.
pub(super) fn is_in_path(storage_id: &str) -> bool {
    let length: usize = storage_id
        .bytes()
        .map(|b| if is_plain(b) { 1 } else { 3 })
        .sum();
    (1..=MAX_ID_BYTES).contains(&length) && storage_id != NULL
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn date_of(time_ms: i64) -> Option<NaiveDate> {
    let time = DateTime::from_timestamp_millis(time_ms)?;
    Some(time.date_naive()).filter(|date| (1..=9999).contains(&date.year()))
}

impl Display for Partition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date {
            Some(date) => write!(f, "date={date}/storage_id=")?,
            None => write!(f, "date={NULL}/storage_id=")?,
        }
        let Some(id) = self.storage_id else {
            return f.write_str(NULL);
        };
        for byte in id.bytes() {
            if is_plain(byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_the_day_in_utc_and_the_storage() {
        let check = |time, id, path: &str| {
            assert_eq!(Partition::new(time, id).to_string(), path);
        };
        let day = 1_700_006_400_000;
        check(day, Some("s-1.a_b"), "date=2023-11-15/storage_id=s-1.a_b");
        check(day - 1, Some("s"), "date=2023-11-14/storage_id=s");
        check(
            -1,
            Some("a/b %ü"),
            "date=1969-12-31/storage_id=a%2Fb%20%25%C3%BC",
        );
        let null = "__HIVE_DEFAULT_PARTITION__";
        let long = "x".repeat(201);
        for none in [None, Some(""), Some(null), Some(&*long)] {
            check(0, none, &format!("date=1970-01-01/storage_id={null}"));
        }
        assert_eq!(
            Partition::new(i64::MAX, None),
            Partition::new(i64::MIN, None)
        );
        for far in [i64::MAX, i64::MIN, 253_402_300_800_000, -62_135_596_800_001] {
            check(far, Some(".."), &format!("date={null}/storage_id=.."));
        }
    }
}
