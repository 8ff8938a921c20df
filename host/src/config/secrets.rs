//! The secrets among a plugin's own settings: where their placeholders are, to read their
//! values again while the host runs.

use delfin_plugin_api::redact::Redactor;
use serde_json::{Map, Value};
use toml::de::DeValue;

use super::placeholder;

/// The settings of a plugin that have placeholders.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretSettings(Vec<SecretSetting>);

#[derive(Clone, PartialEq, Eq)]
struct SecretSetting {
    /// Its place in the settings, as a JSON pointer.
    pointer: String,
    /// Its text, with placeholders.
    written: String,
}

/// The settings of a plugin, with secrets that have changed.
pub struct RenewedSettings {
    pub config: Map<String, Value>,
    /// The changed settings, as JSON pointers.
    pub changed: Vec<String>,
}

impl SecretSettings {
    /// Finds them in the value of `config`.
    pub(super) fn find(table: &DeValue<'_>) -> Self {
        let mut found = Vec::new();
        collect(table, "", &mut found);
        Self(found)
    }

    /// Reads their values again. `None` if all are as in `config`. The redactor learns the
    /// values.
    ///
    /// # Errors
    ///
    /// A placeholder has no value now.
    pub fn renew(
        &self,
        config: &Map<String, Value>,
        redactor: &mut Redactor,
    ) -> Result<Option<RenewedSettings>, String> {
        let mut config = Value::Object(config.clone());
        let mut changed = Vec::new();
        for secret in &self.0 {
            let value = placeholder::resolve(&secret.written, redactor);
            let value = value.map_err(|error| error.to_string())?;
            if let Some(known) = config.pointer_mut(&secret.pointer)
                && known.as_str() != Some(&value)
            {
                *known = Value::String(value);
                changed.push(secret.pointer.clone());
            }
        }
        Ok(match config {
            Value::Object(config) if !changed.is_empty() => {
                Some(RenewedSettings { config, changed })
            }
            _ => None,
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn collect(value: &DeValue<'_>, pointer: &str, found: &mut Vec<SecretSetting>) {
    match value {
        DeValue::String(written) if written.contains("${") => found.push(SecretSetting {
            pointer: pointer.to_owned(),
            written: written.to_string(),
        }),
        DeValue::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                collect(value.get_ref(), &format!("{pointer}/{index}"), found);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table {
                let key = key.get_ref().replace('~', "~0").replace('/', "~1");
                collect(value.get_ref(), &format!("{pointer}/{key}"), found);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::{Config, Source, parse};

    fn config(folder: &std::path::Path) -> Config {
        let text = r#"
performance_exporters = ["Acme"]
[exporter.Acme.config]
url = "https://acme.example/$${path}"
token = "${file:@/token}"
headers = { "a/b~c" = ["Bearer ${file:@/token}", 7] }
"#;
        let text = text.replace('@', &folder.display().to_string());
        parse(&text, &Source::Embedded).unwrap()
    }

    #[test]
    fn changed_secrets_are_found_wherever_they_are_and_learned_by_the_redactor() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, "first-token\n").unwrap();
        let config = config(folder.path());
        let (exporter, mut redactor) = (&config.exporters[0], config.redactor.clone());
        let renewed = exporter.secrets.renew(&exporter.config, &mut redactor);
        assert!(renewed.unwrap().is_none());

        fs::write(&token, "second-token\n").unwrap();
        let renewed = exporter.secrets.renew(&exporter.config, &mut redactor);
        let renewed = renewed.unwrap().unwrap();
        assert_eq!(renewed.changed, ["/headers/a~1b~0c/0", "/token"]);
        assert_eq!(renewed.config["token"], "second-token");
        assert_eq!(renewed.config["headers"]["a/b~c"][0], "Bearer second-token");
        assert_eq!(renewed.config["url"], "https://acme.example/${path}");
        let shown = format!("${{file:{}}}", token.display());
        let text = redactor.redact("first-token second-token").into_owned();
        assert_eq!(text, format!("{shown} {shown}"));

        fs::remove_file(&token).unwrap();
        let error = exporter.secrets.renew(&exporter.config, &mut redactor);
        assert!(error.is_err_and(|error| error.contains("cannot be read")));
    }
}
