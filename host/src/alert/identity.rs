//! The identity of an alert in the table: the [`AlertKey`](delfin_plugin_api::AlertKey) of its rows,
//! in an order that keeps the alerts of a storage together.

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
        let key = alert.key();
        Self {
            storage_id: key.storage_id.to_owned(),
            match_key: key.match_key.to_owned(),
            name: key.name.to_owned(),
            location: key.location.to_owned(),
            sequence_number: key.sequence_number.to_owned(),
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
