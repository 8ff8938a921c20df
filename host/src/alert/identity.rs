//! Decides whether two rows of alert batches are the same alert.
//!
//! If a row has a `match_key`, the key decides: within a storage, the same key is the same
//! alert. Otherwise name, location and sequence number decide together. The name is
//! `alert_name`, and `alert_id` only for an alert without a name: some devices create a
//! new id for each row, and stable ids distinguish no more than names. Severity, times and
//! descriptions change while an alert is active, so they are not part of the identity.

use delfin_plugin_api::Alert;

/// Identity of an alert. In order, the alerts of one storage are next to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertIdentity {
    /// Empty if the alert has no storage.
    pub storage_id: String,
    /// If the alert has a match key, the fields below are empty.
    pub match_key: String,
    /// `alert_name`, or `alert_id` if the alert has no name.
    pub name: String,
    pub location: String,
    pub sequence_number: String,
}

impl AlertIdentity {
    #[must_use]
    pub fn of(alert: &Alert<'_>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let storage_id = text(alert.storage_id());
        if let Some(key) = non_empty(alert.match_key()) {
            return Self {
                storage_id,
                match_key: key.to_owned(),
                ..Self::default()
            };
        }
        Self {
            storage_id,
            match_key: String::new(),
            name: text(non_empty(alert.alert_name()).or(alert.alert_id())),
            location: text(alert.location()),
            sequence_number: text(alert.sequence_number()),
        }
    }

    /// A lower bound of the identities of a storage.
    pub(super) fn first_of(storage_id: &str) -> Self {
        Self {
            storage_id: storage_id.to_owned(),
            ..Self::default()
        }
    }
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

    use super::*;

    fn identity(texts: &[(&str, &str)]) -> AlertIdentity {
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 0,
            texts,
        });
        AlertIdentity::of(&batch.build().alerts().next().unwrap())
    }

    #[test]
    fn severity_description_and_id_are_not_part_of_the_identity() {
        let row = |id, severity| {
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
        assert_eq!(row("4711000", "Major"), row("4711001", "Fatal"));
    }

    #[test]
    fn another_storage_name_location_or_number_is_another_alert() {
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
        let row = |name, key| {
            identity(&[
                ("storage_id", "s"),
                ("alert_name", name),
                ("match_key", key),
                ("sequence_number", name),
            ])
        };
        assert_eq!(row("Link down", "k"), row("Link up", "k"));
        assert_ne!(row("Link down", "k"), row("Link down", "k2"));
        assert_ne!(row("Link down", ""), row("Link up", ""));
    }

    #[test]
    fn an_alert_without_a_name_is_identified_by_its_id() {
        assert_ne!(
            identity(&[("alert_id", "1")]),
            identity(&[("alert_id", "2")])
        );
        let empty = identity(&[("alert_id", "1"), ("alert_name", "")]);
        assert_eq!(empty, identity(&[("alert_id", "1")]));
    }
}
