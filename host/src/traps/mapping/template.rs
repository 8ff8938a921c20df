//! Templates: texts with `${NAME}` for the value of a variable.

use std::fmt::Write as _;

use async_snmp::Oid;

use super::names::OidNames;
use crate::traps::notification::{Notification, text_of};

/// The name of the object identifier of the notification.
pub(super) const TRAP: &str = "trap";

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<TemplatePart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    /// The value of the first variable at or below an object identifier.
    Value(Oid),
    /// What follows the object identifier in the name of the variable: the row of a table.
    Index(Oid),
    /// The object identifier of the notification.
    Trap,
}

impl Template {
    /// # Errors
    ///
    /// The text is no template: the reason, with the remedy.
    pub(super) fn parse(text: &str, names: &OidNames) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has `${{` without `}}` (add it)"))?;
            if !before.is_empty() {
                parts.push(TemplatePart::Text(before.to_owned()));
            }
            parts.push(match name.strip_prefix("index:") {
                Some(name) => TemplatePart::Index(names.oid(name)?),
                None if name == TRAP => TemplatePart::Trap,
                None => TemplatePart::Value(names.oid(name)?),
            });
            rest = after;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(TemplatePart::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// A variable that the notification does not have is empty.
    pub(super) fn fill(&self, notification: &Notification) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(fixed) => text.push_str(fixed),
                TemplatePart::Trap => {
                    let _ = write!(text, "{}", notification.trap);
                }
                TemplatePart::Value(oid) => {
                    text.push_str(&value(notification, oid).unwrap_or_default())
                }
                TemplatePart::Index(oid) => {
                    text.push_str(&index(notification, oid).unwrap_or_default())
                }
            }
        }
        text.trim().to_owned()
    }
}

/// The text of the first variable at or below an object identifier.
pub(super) fn value(notification: &Notification, oid: &Oid) -> Option<String> {
    let mut variables = notification.variables.iter();
    let found = variables.find(|variable| variable.oid.starts_with(oid))?;
    Some(text_of(&found.value))
}

fn index(notification: &Notification, oid: &Oid) -> Option<String> {
    let mut variables = notification.variables.iter();
    variables.find_map(|variable| Some(variable.oid.strip_prefix(oid)?.to_string()))
}
