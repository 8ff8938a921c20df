//! Makes alerts of notifications: by a mapping, or of the notification as it is.

use std::fmt::Write as _;

use super::{
    mapping::TrapMappings,
    notification::{Notification, text_of},
};
use crate::{alert::TRAP_OID, notification::NotificationAlert};

/// The longest description that is made of variables, in bytes.
const MAX_DESCRIPTION: usize = 8_192;

/// The alert of a notification. One that no mapping knows is an alert with its variables.
#[must_use]
pub fn trap_alert(
    notification: &Notification,
    mappings: &TrapMappings,
    now_ms: i64,
) -> NotificationAlert {
    let mut alert = match mappings.find(notification) {
        Some(rule) => NotificationAlert::mapped(rule, notification, now_ms),
        None => raw(notification, mappings, now_ms),
    };
    alert.add_default("alert_name", || trap_name(notification, mappings));
    alert.add_default("alert_id", || notification.trap.to_string());
    alert.add_defaults();
    alert.add(TRAP_OID, notification.trap.to_string());
    alert
}

fn raw(notification: &Notification, mappings: &TrapMappings, now_ms: i64) -> NotificationAlert {
    let mut description = String::new();
    let mut alert = NotificationAlert::raw(now_ms);
    for variable in &notification.variables {
        let text = text_of(&variable.value);
        let name = mappings.names().name(&variable.oid);
        let name = name.unwrap_or_else(|| variable.oid.to_string());
        if description.len() < MAX_DESCRIPTION {
            let separator = if description.is_empty() { "" } else { ", " };
            let _ = write!(description, "{separator}{name}={text}");
        }
        alert.add(&variable.oid.to_string(), text);
    }
    if description.len() > MAX_DESCRIPTION {
        description.truncate(description.floor_char_boundary(MAX_DESCRIPTION));
        description.push('…');
    }
    alert.add("description", description);
    alert
}

/// The name of a trap, or its object identifier.
#[must_use]
pub fn trap_name(notification: &Notification, mappings: &TrapMappings) -> String {
    let name = mappings.names().name(&notification.trap);
    name.unwrap_or_else(|| format!("SNMP trap {}", notification.trap))
}
