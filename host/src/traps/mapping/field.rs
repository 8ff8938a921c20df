//! What a name in a mapping file of traps means.

use async_snmp::{Oid, Value};

use super::resolver::{NameResolver, TRAP};
use crate::{
    notification::{MappedInput, parse_time},
    traps::notification::{Notification, text_of},
};

/// A part of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrapField {
    /// The value of the first variable at or below an object identifier.
    Value(Oid),
    /// What follows the object identifier in the name of the variable: the row of a table.
    Index(Oid),
    /// The object identifier of the notification.
    Trap,
    /// A name of a MIB that no file has. No notification has it.
    Unknown,
}

impl TrapField {
    /// # Errors
    ///
    /// The name is unknown: the reason, with the remedy.
    pub(super) fn parse(name: &str, names: &NameResolver<'_>) -> Result<Self, String> {
        Ok(match name.strip_prefix("index:") {
            Some(name) => names.oid(name)?.map_or(Self::Unknown, Self::Index),
            None if name == TRAP => Self::Trap,
            None => names.oid(name)?.map_or(Self::Unknown, Self::Value),
        })
    }
}

impl Notification {
    /// The first variable at or below an object identifier.
    fn value(&self, oid: &Oid) -> Option<&Value> {
        let mut variables = self.variables.iter();
        let found = variables.find(|variable| variable.oid.starts_with(oid))?;
        Some(&found.value)
    }
}

impl MappedInput for Notification {
    type Field = TrapField;

    fn text(&self, field: &TrapField) -> Option<String> {
        match field {
            TrapField::Trap => Some(self.trap.to_string()),
            TrapField::Unknown => None,
            TrapField::Value(oid) => self.value(oid).map(text_of),
            TrapField::Index(oid) => {
                let mut variables = self.variables.iter();
                variables.find_map(|variable| Some(variable.oid.strip_prefix(oid)?.to_string()))
            }
        }
    }

    /// Also the octets of `DateAndTime`.
    fn time_ms(&self, field: &TrapField) -> Option<i64> {
        if let TrapField::Value(oid) = field
            && let Some(Value::OctetString(octets)) = self.value(oid)
            && let Some(time) = date_and_time(octets)
        {
            return Some(time);
        }
        parse_time(&self.text(field)?)
    }
}

/// RFC 2579: year, month, day, hour, minute, second, decisecond, and perhaps the offset to UTC.
fn date_and_time(octets: &[u8]) -> Option<i64> {
    let (&[y1, y2, month, day, hour, minute, second, tenth], zone) = octets.split_first_chunk()?;
    let offset_minutes = match *zone {
        [] => 0,
        [sign @ (b'+' | b'-'), hours, minutes] => {
            let offset = i64::from(hours) * 60 + i64::from(minutes);
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let year = i64::from(y1) << 8 | i64::from(y2);
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && tenth < 10;
    if !is_valid {
        return None;
    }
    // Days since the Unix epoch in the proleptic Gregorian calendar, with years from March on.
    let (year, month) = match i64::from(month) {
        month @ ..=2 => (year - 1, month + 9),
        month => (year, month - 3),
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + i64::from(day)
            - 719_469;
    let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset_minutes;
    Some((minutes * 60 + i64::from(second)) * 1_000 + i64::from(tenth) * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_and_time_becomes_milliseconds() {
        let of = |octets: &[u8]| date_and_time(octets);
        assert_eq!(of(&[7, 178, 1, 1, 0, 0, 0, 0]), Some(0));
        assert_eq!(of(&[7, 234, 3, 1, 12, 30, 15, 5]), Some(1_772_368_215_500));
        assert_eq!(
            of(&[7, 234, 3, 1, 12, 30, 15, 5, b'+', 2, 0]),
            Some(1_772_368_215_500 - 7_200_000)
        );
        assert_eq!(of(&[7, 234, 13, 1, 12, 30, 15, 5]), None);
        assert_eq!(of(b"2026-03-01"), None);
    }
}
