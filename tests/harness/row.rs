//! A series or an alert, reduced to what identifies it.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The name of a series, or the id of an alert.
    pub name: String,
    pub storage_id: String,
    /// The number of points of a series; 1 for an alert.
    pub items: u64,
}

impl Row {
    /// From Delfin's JSON, which ingest takes and the webhook and file exporters write.
    #[must_use]
    pub fn from_json(item: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match item["values"].as_object() {
            Some(values) => Self {
                name: text(&item["name"]),
                storage_id: text(&item["labels"]["storage_id"]),
                items: values.len() as u64,
            },
            None => Self {
                name: text(&item["alert_id"]),
                storage_id: text(&item["storage_id"]),
                items: 1,
            },
        }
    }

    /// From a line `STORAGE_ID NAME ITEMS` of the scripted exporter.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let [storage_id, name, items] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            storage_id: storage_id.to_owned(),
            items: items.parse().ok()?,
        })
    }

    /// Whether receivers with [`RejectRequest`](crate::Behavior::RejectRequest) or
    /// [`RejectRows`](crate::Behavior::RejectRows) reject this row.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        self.name.contains("poison")
    }
}
