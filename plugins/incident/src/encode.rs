//! An alert as services for incidents see it.

use std::time::{Duration, UNIX_EPOCH};

use delfin_plugin_api::Alert;

const RECOVERY: &str = "Recovery";

/// The longest summary, in characters: what PagerDuty accepts.
const MAX_SUMMARY: usize = 1024;

/// A report about an alert.
#[derive(Clone)]
pub struct Incident<'a> {
    /// The alert itself.
    pub alert: Alert<'a>,
    /// The same for a fault, its changes and its end.
    pub key: String,
    /// On one line.
    pub summary: String,
    /// How severe the alert is.
    pub urgency: Urgency,
    /// Whether the alert has ended.
    pub has_ended: bool,
}

/// How severe an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Informational, or a severity that is unknown.
    Info,
    /// A warning.
    Warning,
    /// A minor fault.
    Minor,
    /// A major fault.
    Major,
    /// A critical or fatal fault.
    Critical,
}

impl<'a> Incident<'a> {
    /// A report whose summary is made of this text.
    #[must_use]
    pub fn new(alert: Alert<'a>, summary: &str) -> Self {
        let is = |text: Option<&str>, name: &str| {
            text.is_some_and(|text| text.eq_ignore_ascii_case(name))
        };
        let words = summary.split_whitespace().collect::<Vec<_>>().join(" ");
        let summary = match words.char_indices().nth(MAX_SUMMARY) {
            Some((end, _)) => words[..end].to_owned(),
            None if words.is_empty() => "alert".to_owned(),
            None => words,
        };
        Self {
            alert,
            key: alert.key().uuid().simple().to_string(),
            summary,
            urgency: Urgency::of(&alert),
            has_ended: is(alert.category(), RECOVERY),
        }
    }

    /// The storage: its name, or its id; `delfin-host` if the alert has none.
    #[must_use]
    pub fn storage(&self) -> &'a str {
        let known = non_empty(self.alert.storage_name()).or(non_empty(self.alert.storage_id()));
        known.unwrap_or("delfin-host")
    }

    /// The time of the alert, such as `2026-11-27T12:00:00.000Z`; `None` if the calendar does not
    /// have it.
    #[must_use]
    pub fn time(&self) -> Option<String> {
        let ms = u64::try_from(self.alert.occur_time()).ok()?;
        // The last millisecond of the year 9999.
        let time = (ms < 253_402_300_800_000).then(|| UNIX_EPOCH + Duration::from_millis(ms))?;
        Some(humantime::format_rfc3339_millis(time).to_string())
    }
}

impl Urgency {
    fn of(alert: &Alert<'_>) -> Self {
        let severity = alert.severity().unwrap_or_default();
        let known = [
            ("Fatal", Self::Critical),
            ("Critical", Self::Critical),
            ("Major", Self::Major),
            ("Minor", Self::Minor),
            ("Warning", Self::Warning),
        ];
        let found = known
            .into_iter()
            .find(|(name, _)| severity.eq_ignore_ascii_case(name));
        found.map_or(Self::Info, |(_, urgency)| urgency)
    }
}

/// A text that an alert has and that is not empty.
#[must_use]
pub fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert};

    use super::*;

    pub(crate) fn batch(occur_time: i64, texts: &[(&str, &str)]) -> AlertBatch {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert { occur_time, texts });
        batch.build()
    }

    #[test]
    fn a_fault_and_its_end_have_the_same_key() {
        let fault = batch(
            0,
            &[
                ("storage_id", "s"),
                ("alert_name", "fan"),
                ("severity", "fatal"),
            ],
        );
        let end = batch(
            9,
            &[
                ("storage_id", "s"),
                ("alert_name", "fan"),
                ("category", "Recovery"),
            ],
        );
        let of = |batch: &AlertBatch| {
            let incident = Incident::new(batch.alerts().next().unwrap(), "a");
            (incident.key, incident.has_ended, incident.urgency)
        };
        let (fault, end) = (of(&fault), of(&end));
        assert_eq!(fault.0, end.0);
        assert_eq!((fault.1, fault.2), (false, Urgency::Critical));
        assert_eq!((end.1, end.2), (true, Urgency::Info));
    }

    #[test]
    fn a_summary_is_one_short_line() {
        let batch = batch(1_700_000_000_123, &[]);
        let of = |summary: &str| Incident::new(batch.alerts().next().unwrap(), summary);
        assert_eq!(of("a\r\nX: b\t c ").summary, "a X: b c");
        assert_eq!(of(" \n").summary, "alert");
        assert_eq!(of(&"é".repeat(2_000)).summary.chars().count(), MAX_SUMMARY);
        assert_eq!(of("a").time().as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(of("a").storage(), "delfin-host");
    }

    #[test]
    fn a_time_outside_of_the_calendar_is_left_out() {
        for time in [-1, i64::MAX] {
            let batch = batch(time, &[]);
            assert_eq!(
                Incident::new(batch.alerts().next().unwrap(), "a").time(),
                None
            );
        }
    }
}
