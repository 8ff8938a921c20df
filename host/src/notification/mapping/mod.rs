//! Mapping files: from a notification to an alert.
//!
//! The host has mappings for common notifications built in. A folder can have more: a file with
//! the name of a built-in one replaces it.
//!
//! Promises: files with a mistake give no mappings at all, and the error names the file, the
//! key and the remedy.

mod file;
mod folder;
mod rule;
mod template;
mod time;

use std::sync::{Arc, PoisonError, RwLock};

pub use self::{
    file::{FieldValues, MappedField, MappingFile, parse_mapping_file},
    folder::{MappingError, MappingFolder},
    rule::{FieldCondition, FieldRule, KeyError, MappingRule, RuleReader, Tables},
    time::parse_time,
};

/// What a mapping reads: a trap, a syslog message, the body of a webhook or a series.
pub trait MappedInput {
    /// What a name in a mapping file means.
    type Field: Clone + std::fmt::Debug;

    /// The text of a field; `None` if the input does not have it.
    fn text(&self, field: &Self::Field) -> Option<String>;

    /// A field with a time, in milliseconds since the Unix epoch.
    fn time_ms(&self, field: &Self::Field) -> Option<i64> {
        parse_time(&self.text(field)?)
    }
}

/// The mappings in force. Clones share them.
#[derive(Debug)]
pub struct MappingSet<M>(Arc<RwLock<Arc<M>>>);

impl<M> MappingSet<M> {
    #[must_use]
    pub fn new(mappings: M) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(mappings))))
    }

    #[must_use]
    pub fn get(&self) -> Arc<M> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the mappings, effective with the next notification.
    pub fn replace(&self, mappings: M) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mappings);
    }
}

impl<M> Clone for MappingSet<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
