//! What is wrong with the settings, gathered.

use serde_json::Value;

/// All mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<String>);

/// Why settings cannot work.
#[derive(Debug, thiserror::Error)]
#[error("{}", mistakes.join("; "))]
pub(crate) struct ConfigError {
    mistakes: Vec<String>,
}

impl Mistakes {
    /// Adds one.
    pub(super) fn add(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// Reads a setting, if it is there.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        value: Option<&Value>,
        read: impl Fn(&Value) -> Option<T>,
        right: &str,
    ) -> Option<T> {
        let value = value?;
        let read = read(value);
        if read.is_none() {
            self.add(format!("`{key}` cannot be `{value}` ({right})"));
        }
        read
    }

    /// Reads a setting whose value nobody may see, if it is there.
    pub(super) fn read_unseen<T>(
        &mut self,
        key: &str,
        value: Option<&Value>,
        read: impl Fn(&Value) -> Option<T>,
        right: &str,
    ) -> Option<T> {
        let read = read(value?);
        if read.is_none() {
            self.add(format!("`{key}` cannot be that ({right})"));
        }
        read
    }

    /// Whether there are none.
    pub(super) fn none(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(ConfigError { mistakes: self.0 })
    }
}
