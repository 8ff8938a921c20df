//! What makes two sightings of an alert the same alert.
//!
//! A driver that gives a `match_key` has decided: within its storage, the same
//! key is the same alert. Otherwise it is the name, the location and the
//! sequence number, each as the driver says it. The name is `alert_name`, and
//! `alert_id` only where there is no name: some devices draw a new id at each
//! sighting, and where ids are stable the name says no less. Severity, times and
//! descriptions are not part of it: they change while an alert lasts.

use delfin_plugin_api::Alert;

/// Which alert it is. Those of one storage are next to each other in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The storage that the alert is about; empty if it is about none.
    pub storage_id: String,
    /// What the driver matches by; if it is there, the rest is empty.
    pub match_key: String,
    /// The alert's name, or its id if it has no name.
    pub name: String,
    /// Where it is.
    pub location: String,
    /// The number that the device gave it.
    pub sequence_number: String,
}

impl Identity {
    /// The identity of an alert.
    #[must_use]
    pub fn of(alert: &Alert<'_>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let storage_id = text(alert.storage_id());
        if let Some(key) = filled(alert.match_key()) {
            return Self {
                storage_id,
                match_key: key.to_owned(),
                ..Self::default()
            };
        }
        Self {
            storage_id,
            match_key: String::new(),
            name: text(filled(alert.alert_name()).or(alert.alert_id())),
            location: text(alert.location()),
            sequence_number: text(alert.sequence_number()),
        }
    }

    /// Not after any identity of that storage.
    pub(super) fn first_of(storage_id: &str) -> Self {
        Self {
            storage_id: storage_id.to_owned(),
            ..Self::default()
        }
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

    use super::*;

    fn identity(texts: &[(&str, &str)]) -> Identity {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 0,
            texts,
        });
        Identity::of(&batch.build().alerts().next().unwrap())
    }

    #[test]
    fn what_changes_from_one_sighting_to_the_next_is_no_part_of_it() {
        let sighting = |id, severity| {
            identity(&[
                ("storage_id", "s"),
                ("alert_name", "Power failure"),
                ("location", "entity3"),
                ("sequence_number", "102"),
                ("alert_id", id),
                ("severity", severity),
                ("description", id),
            ])
        };
        assert_eq!(sighting("4711000", "Major"), sighting("4711001", "Fatal"));
    }

    #[test]
    fn another_storage_name_place_or_number_is_another_alert() {
        let base = [
            ("storage_id", "s"),
            ("alert_name", "n"),
            ("location", "l"),
            ("sequence_number", "1"),
        ];
        for (column, _) in base {
            let other = base.map(|(key, text)| (key, if key == column { "other" } else { text }));
            assert_ne!(identity(&base), identity(&other), "{column}");
        }
    }

    #[test]
    fn a_match_key_decides_alone() {
        let sighting = |name, key| {
            identity(&[
                ("storage_id", "s"),
                ("alert_name", name),
                ("match_key", key),
                ("sequence_number", name),
            ])
        };
        assert_eq!(sighting("Link down", "k"), sighting("Link up", "k"));
        assert_ne!(sighting("Link down", "k"), sighting("Link down", "k2"));
        assert_ne!(sighting("Link down", ""), sighting("Link up", ""));
    }

    #[test]
    fn an_alert_without_a_name_goes_by_its_id() {
        assert_ne!(
            identity(&[("alert_id", "1")]),
            identity(&[("alert_id", "2")])
        );
        let empty = identity(&[("alert_id", "1"), ("alert_name", "")]);
        assert_eq!(empty, identity(&[("alert_id", "1")]));
    }
}
