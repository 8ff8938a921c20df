//! Times of items: read from text, in milliseconds or seconds, and checked.
//!
//! Times are milliseconds since the Unix epoch. A number that means the first weeks of 1970
//! as milliseconds and a usual time as seconds can only be seconds, and is converted. A time
//! that is valid but far off is accepted and counted.

use std::ops::RangeInclusive;

use super::{
    notes::{IngestNotes, NoteKind},
    rules::excerpt,
};

/// Valid times: up to the end of the year 9999, which is the last that RFC 3339 can write.
/// Times in microseconds or nanoseconds, a frequent mistake, are outside.
pub(super) const VALID: RangeInclusive<i64> = 0..=253_402_300_799_999;

/// Numbers that can only be seconds: the years 1973 to 2106. As milliseconds they would be
/// January and February 1970.
const SECONDS: RangeInclusive<i64> = 100_000_000..=4_294_967_295;

/// The year 2000: the clock of a storage with an earlier time was probably never set.
const FAR_PAST_MS: i64 = 946_684_800_000;

const DAY_MS: i64 = 86_400_000;

/// Reads and checks the times of one body.
#[derive(Clone, Debug)]
pub struct TimeReader {
    /// Times that need no further check.
    usual: RangeInclusive<i64>,
}

impl TimeReader {
    /// `now_ms` decides which times are in the future.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self {
            usual: FAR_PAST_MS..=now_ms.saturating_add(DAY_MS),
        }
    }

    /// A time in text: an integer, a whole float, or a float of seconds.
    #[inline]
    pub(super) fn read(&self, text: &str, notes: &mut IngestNotes) -> Result<i64, String> {
        match integer(text) {
            Some(time) => self.check(time, notes),
            None => self.read_float(text, notes),
        }
    }

    /// The time that a number means, in milliseconds.
    ///
    /// # Errors
    ///
    /// The time is out of range.
    #[inline]
    pub fn check(&self, time: i64, notes: &mut IngestNotes) -> Result<i64, String> {
        if self.usual.contains(&time) {
            return Ok(time);
        }
        if SECONDS.contains(&time) {
            notes.add(NoteKind::Seconds, 1);
            return Ok(self.note_far_off(time * 1000, notes));
        }
        if !VALID.contains(&time) {
            return Err(out_of_range(time));
        }
        Ok(self.note_far_off(time, notes))
    }

    fn note_far_off(&self, time: i64, notes: &mut IngestNotes) -> i64 {
        if time < FAR_PAST_MS {
            notes.add(NoteKind::FarPast, 1);
        } else if !self.usual.contains(&time) {
            notes.add(NoteKind::FarFuture, 1);
        }
        time
    }

    fn read_float(&self, text: &str, notes: &mut IngestNotes) -> Result<i64, String> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(out_of_range(excerpt(text)));
        }
        let refused = || format!("`{}` is not an integer of milliseconds", excerpt(text));
        let number = number(text).ok_or_else(refused)?;
        let whole = number.trunc();
        if !VALID.contains(&(whole as i64)) {
            return Err(out_of_range(excerpt(text)));
        }
        if number == whole {
            return self.check(whole as i64, notes);
        }
        if !SECONDS.contains(&(whole as i64)) {
            return Err(refused());
        }
        notes.add(NoteKind::Seconds, 1);
        Ok(self.note_far_off((number * 1000.0).round() as i64, notes))
    }
}

/// A number as JSON writes it, finite.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // Rust also reads `inf`, `nan` and `+1`.
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit());
    let number: f64 = text.parse().ok().filter(|_| is_number)?;
    number.is_finite().then_some(number)
}

/// Digits only, so that a text such as `+1` is no time.
#[inline]
fn integer(text: &str) -> Option<i64> {
    // Any number of so many digits fits.
    if text.is_empty() || text.len() > 18 {
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit());
        return text.parse().ok().filter(|_| is_integer);
    }
    text.bytes().try_fold(0, |number: i64, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| number * 10 + i64::from(digit))
    })
}

/// The error of a time that is not [`VALID`].
pub(super) fn out_of_range(time: impl std::fmt::Display) -> String {
    format!("`{time}` is out of range (milliseconds since the Unix epoch, up to the year 9999)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn read(text: &str) -> (Result<i64, String>, Vec<(NoteKind, u64)>) {
        let mut notes = IngestNotes::default();
        let time = TimeReader::new(NOW).read(text, &mut notes);
        (time, notes.counts().collect())
    }

    #[test]
    fn a_time_is_an_integer_or_a_whole_float() {
        for text in [
            "1600000000000",
            "1600000000000.0",
            "1.6e12",
            "001600000000000",
        ] {
            assert_eq!(read(text), (Ok(1_600_000_000_000), vec![]), "{text}");
        }
        for text in [
            "",
            "+1",
            "abc",
            "0x10",
            "inf",
            "NaN",
            "1.5",
            "1600000000000.5",
            "1 ",
        ] {
            let (time, notes) = read(text);
            let wanted = format!("`{text}` is not an integer of milliseconds");
            assert_eq!((time, notes), (Err(wanted), vec![]), "{text}");
        }
        let range = "is out of range (milliseconds since the Unix epoch, up to the year 9999)";
        for text in [
            "-1",
            "253402300800000",
            "99999999999999999999",
            "1e300",
            "-1.0",
        ] {
            assert_eq!(read(text).0, Err(format!("`{text}` {range}")), "{text}");
        }
    }

    #[test]
    fn a_number_that_can_only_be_seconds_is_converted_and_counted() {
        let seconds = vec![(NoteKind::Seconds, 1)];
        assert_eq!(read("1600000000"), (Ok(1_600_000_000_000), seconds.clone()));
        assert_eq!(
            read("1600000000.0"),
            (Ok(1_600_000_000_000), seconds.clone())
        );
        assert_eq!(read("1600000000.25"), (Ok(1_600_000_000_250), seconds));
        let long_ago = vec![(NoteKind::Seconds, 1), (NoteKind::FarPast, 1)];
        assert_eq!(read("100000000"), (Ok(100_000_000_000), long_ago));
        let ahead = vec![(NoteKind::Seconds, 1), (NoteKind::FarFuture, 1)];
        assert_eq!(read("4000000000"), (Ok(4_000_000_000_000), ahead));
    }

    #[test]
    fn a_time_far_off_is_accepted_and_counted() {
        for (time, notes) in [
            (5, vec![(NoteKind::FarPast, 1)]),
            (13_200_000_000, vec![(NoteKind::FarPast, 1)]),
            (FAR_PAST_MS - 1, vec![(NoteKind::FarPast, 1)]),
            (FAR_PAST_MS, vec![]),
            (NOW + DAY_MS, vec![]),
            (NOW + DAY_MS + 1, vec![(NoteKind::FarFuture, 1)]),
        ] {
            assert_eq!(read(&time.to_string()), (Ok(time), notes));
        }
    }
}
