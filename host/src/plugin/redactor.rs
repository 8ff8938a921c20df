//! A redactor that learns secrets while the exporter runs.

use std::sync::{Arc, PoisonError, RwLock};

use delfin_plugin_api::redact::Redactor;

/// The redactor of one exporter. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct SharedRedactor(Arc<RwLock<Redactor>>);

impl SharedRedactor {
    /// The text with every secret replaced.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let redactor = self.0.read().unwrap_or_else(PoisonError::into_inner);
        redactor.redact(text).into_owned()
    }

    /// Learns secrets: `learn` adds them.
    pub fn learn<T>(&self, learn: impl FnOnce(&mut Redactor) -> T) -> T {
        // Texts are redacted while files are read.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut redactor = known.clone();
        drop(known);
        let learned = learn(&mut redactor);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = redactor;
        learned
    }
}

impl From<Redactor> for SharedRedactor {
    fn from(redactor: Redactor) -> Self {
        Self(Arc::new(RwLock::new(redactor)))
    }
}
