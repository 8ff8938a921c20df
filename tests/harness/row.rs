//! A series or an alert, as far as it matters that it arrived.

use serde_json::Value;

/// One row, known by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// A series' name, or an alert's id.
    pub name: String,
    /// The storage that it is about.
    pub storage_id: String,
    /// What it counts as: its points, or 1.
    pub items: u64,
}

impl Row {
    /// From Delfin's JSON, as it is handed in, posted and written to files.
    #[must_use]
    pub fn of_json(item: &Value) -> Self {
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

    /// From a line `STORAGE_ID NAME ITEMS`, as the scripted exporter writes it.
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        let [storage_id, name, items] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            storage_id: storage_id.to_owned(),
            items: items.parse().ok()?,
        })
    }

    /// Whether receivers that are told to refuse something refuse this.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        self.name.contains("poison")
    }
}
