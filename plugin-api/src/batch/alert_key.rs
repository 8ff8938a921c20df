//! Which rows of alert batches are the same alert.

use uuid::Uuid;

use super::Alert;

/// The namespace of the ids of alerts.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f0c_95a7_6d1b_4d43_9a86_51f8_2f7c_6e10);

/// What identifies an alert, for a receiver that updates an alert in place. Rows with the same
/// key are the same alert, as the host sees it.
///
/// If a row has a `match_key`, the key decides: within a storage, the same key is the same
/// alert. Otherwise name, location and sequence number decide together. Severity, times and
/// descriptions change while an alert is active, so they are not part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertKey<'a> {
    /// Empty if the alert has no storage.
    pub storage_id: &'a str,
    /// If the alert has a match key, the fields below are empty.
    pub match_key: &'a str,
    /// `alert_name`, or `alert_id` if the alert has no name: some devices create a new id for
    /// each row, and stable ids distinguish no more than names.
    pub name: &'a str,
    /// `location`.
    pub location: &'a str,
    /// `sequence_number`.
    pub sequence_number: &'a str,
}

impl<'a> AlertKey<'a> {
    pub(super) fn of(alert: &Alert<'a>) -> Self {
        let storage_id = alert.storage_id().unwrap_or_default();
        if let Some(match_key) = non_empty(alert.match_key()) {
            return Self {
                storage_id,
                match_key,
                name: "",
                location: "",
                sequence_number: "",
            };
        }
        let name = non_empty(alert.alert_name()).or(alert.alert_id());
        Self {
            storage_id,
            match_key: "",
            name: name.unwrap_or_default(),
            location: alert.location().unwrap_or_default(),
            sequence_number: alert.sequence_number().unwrap_or_default(),
        }
    }

    /// An id that is the same for the same key, on every machine.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let Self {
            storage_id,
            match_key,
            name,
            location,
            sequence_number,
        } = self;
        let mut bytes = Vec::new();
        for text in [storage_id, match_key, name, location, sequence_number] {
            // With its length, so that texts cannot flow into each other.
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Uuid::new_v5(&NAMESPACE, &bytes)
    }
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::{AlertBatchBuilder, NewAlert};

    #[test]
    fn ids_are_the_same_for_the_same_alert_only() {
        let id = |texts: &[(&str, &str)]| {
            let mut batch = AlertBatchBuilder::new();
            batch.alert(NewAlert {
                occur_time: 0,
                texts,
            });
            let batch = batch.build();
            batch
                .alerts()
                .next()
                .map(|alert| alert.key().uuid())
                .unwrap()
        };
        let fault = [
            ("storage_id", "s"),
            ("match_key", "k"),
            ("severity", "Major"),
        ];
        let end = [
            ("storage_id", "s"),
            ("match_key", "k"),
            ("category", "Recovery"),
        ];
        assert_eq!(id(&fault), id(&end));
        assert_ne!(
            id(&[("alert_name", "ab"), ("location", "c")]),
            id(&[("alert_name", "a"), ("location", "bc")])
        );
        // A change would end no alert that a receiver has under the old id.
        assert_eq!(
            id(&fault).to_string(),
            "cc0ced19-ec84-564f-a3c6-bc9f4673fff2"
        );
    }
}
