//! Makes alerts of notifications: by a mapping, or of the notification as it is.

use std::fmt::Write as _;

use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

use super::{
    mapping::{Mappings, TrapRule},
    notification::{Notification, text_of},
    stats::AlertMaker,
};
use crate::{alert::TRAP_OID, collect::StorageInfo};

/// The longest description that is made of variables, in bytes.
const MAX_DESCRIPTION: usize = 8_192;

/// An alert without its storage.
#[derive(Debug, PartialEq, Eq)]
pub struct TrapAlert {
    /// Columns and extra texts.
    pub texts: Vec<(String, String)>,
    pub occur_time_ms: i64,
    pub maker: AlertMaker,
    /// The rule that has made it.
    pub rule: Option<String>,
}

impl TrapAlert {
    /// Never fails: a notification that no mapping knows is an alert with its variables.
    #[must_use]
    pub fn new(notification: &Notification, mappings: &Mappings, now_ms: i64) -> Self {
        let mut alert = match mappings.find(notification) {
            Some(rule) => mapped(rule, notification, now_ms),
            None => raw(notification, mappings, now_ms),
        };
        if alert.text("alert_name").is_none() {
            alert.add("alert_name", trap_name(notification, mappings));
        }
        if alert.text("alert_id").is_none() {
            alert.add("alert_id", notification.trap.to_string());
        }
        for (column, default) in [
            ("severity", "NotSpecified"),
            ("category", "Fault"),
            ("type", "EquipmentAlarm"),
            ("resource_type", "Storage"),
        ] {
            if alert.text(column).is_none() {
                alert.add(column, default.to_owned());
            }
        }
        alert.add(TRAP_OID, notification.trap.to_string());
        alert
    }

    /// Adds the alert to a batch.
    pub fn add_to(&self, batch: &mut AlertBatchBuilder, storage_id: &str, storage: &StorageInfo) {
        let own = self.texts.iter();
        let mut texts: Vec<(&str, &str)> = own.map(|(key, text)| (&**key, &**text)).collect();
        texts.extend([
            ("storage_id", storage_id),
            ("storage_name", &storage.name),
            ("vendor", &storage.vendor),
            ("model", &storage.model),
            ("serial_number", &storage.serial_number),
        ]);
        batch.alert(NewAlert {
            occur_time: self.occur_time_ms,
            texts: &texts,
        });
    }

    fn text(&self, column: &str) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts.find_map(|(key, text)| (key == column).then_some(&**text))
    }

    fn add(&mut self, column: &str, text: String) {
        self.texts.push((column.to_owned(), text));
    }
}

fn mapped(rule: &TrapRule, notification: &Notification, now_ms: i64) -> TrapAlert {
    let mapped = rule.apply(notification);
    let texts = mapped.texts.into_iter();
    TrapAlert {
        texts: texts
            .map(|(column, text)| (column.to_owned(), text))
            .collect(),
        occur_time_ms: mapped.occur_time_ms.unwrap_or(now_ms),
        maker: AlertMaker::Mapping,
        rule: Some(rule.origin.clone()),
    }
}

fn raw(notification: &Notification, mappings: &Mappings, now_ms: i64) -> TrapAlert {
    let mut description = String::new();
    let mut texts = vec![("category".to_owned(), "NotSpecified".to_owned())];
    for variable in &notification.variables {
        let text = text_of(&variable.value);
        let name = mappings.names().name(&variable.oid);
        let name = name.unwrap_or_else(|| variable.oid.to_string());
        if description.len() + name.len() + text.len() < MAX_DESCRIPTION {
            let separator = if description.is_empty() { "" } else { ", " };
            let _ = write!(description, "{separator}{name}={text}");
        }
        texts.push((variable.oid.to_string(), text));
    }
    texts.push(("type".to_owned(), "NotSpecified".to_owned()));
    texts.push(("description".to_owned(), description));
    TrapAlert {
        texts,
        occur_time_ms: now_ms,
        maker: AlertMaker::Raw,
        rule: None,
    }
}

/// The name of a trap, or its object identifier.
#[must_use]
pub fn trap_name(notification: &Notification, mappings: &Mappings) -> String {
    let name = mappings.names().name(&notification.trap);
    name.unwrap_or_else(|| format!("SNMP trap {}", notification.trap))
}
