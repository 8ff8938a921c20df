//! The identity of an alert in the table: the [`AlertKey`](delfin_plugin_api::AlertKey) of its rows,
//! in an order that keeps the alerts of a storage together.

use std::cmp::Ordering;

use delfin_plugin_api::Alert;

/// Identity of an alert. In order, the alerts of one storage are next to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlertIdentity {
    /// The texts that identify the alert, one after another.
    texts: Box<str>,
    /// Where each text but the last ends.
    ends: [usize; 4],
}

impl AlertIdentity {
    #[must_use]
    pub fn of(alert: &Alert<'_>) -> Self {
        let key = alert.key();
        Self::new([
            key.storage_id,
            key.match_key,
            key.name,
            key.location,
            key.sequence_number,
        ])
    }

    /// From the texts that [`texts`](Self::texts) returns.
    pub(super) fn new(texts: [&str; 5]) -> Self {
        let mut end = 0;
        let ends = std::array::from_fn(|index| {
            end += texts[index].len();
            end
        });
        Self {
            texts: texts.concat().into(),
            ends,
        }
    }

    /// A lower bound of the identities of a storage.
    pub(super) fn first_of(storage_id: &str) -> Self {
        Self::new([storage_id, "", "", "", ""])
    }

    /// Empty if the alert has no storage.
    #[must_use]
    pub fn storage_id(&self) -> &str {
        &self.texts[..self.ends[0]]
    }

    /// Storage id, match key, name, location and sequence number. If the alert has a match key, those
    /// after it are empty. The name is `alert_name`, or `alert_id` if the alert has no name.
    pub(super) fn texts(&self) -> [&str; 5] {
        let [storage, match_key, name, location] = self.ends;
        [
            &self.texts[..storage],
            &self.texts[storage..match_key],
            &self.texts[match_key..name],
            &self.texts[name..location],
            &self.texts[location..],
        ]
    }
}

impl Ord for AlertIdentity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.texts().cmp(&other.texts())
    }
}

impl PartialOrd for AlertIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
    fn identities_are_in_the_order_of_their_texts() {
        let texts = [
            ["", "", "z", "", ""],
            ["a", "", "", "", ""],
            ["a", "", "", "", "b"],
            ["a", "", "b", "", ""],
            ["ab", "", "", "", ""],
            ["b", "", "", "", ""],
        ];
        let identities = texts.map(AlertIdentity::new);
        assert!(identities.is_sorted_by(|a, b| a < b));
        assert_eq!(identities.each_ref().map(AlertIdentity::texts), texts);
        assert_eq!(AlertIdentity::first_of("a"), identities[1]);
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
