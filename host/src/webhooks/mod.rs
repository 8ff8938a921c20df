//! Webhooks: JSON bodies that become alerts of one storage, by a mapping file or as they are.
//!
//! Knows nothing of HTTP.

mod alert;
mod alertmanager;
mod mapping;
mod path;

pub use alert::webhook_alerts;
pub use alertmanager::{InvalidAlerts, take_invalid_alerts};
pub use mapping::WebhookMappings;
