//! The manifest of a plugin: JSON in a section of its file.
//!
//! Unknown keys are ignored, so that the manifest of a newer plugin can be read.
//! Control characters in texts become spaces.

use std::num::NonZeroU64;

use delfin_plugin_abi::manifest::{FORMAT_VERSION, MAGIC};
use delfin_plugin_c::MANIFEST_PREFIX;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{error::Reason, folder::PluginCommand};

/// The manifest of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    /// The version of `delfin-plugin-abi` that the plugin was built with; `c ` and the version of
    /// the C interface for a plugin that has no other; `protocol` for a plugin that is a folder.
    #[serde(deserialize_with = "line")]
    pub abi: String,
    /// The version of `delfin-plugin-api` that the plugin was built with.
    #[serde(default, deserialize_with = "line")]
    pub api: String,
    /// The compiler and its version.
    #[serde(default, deserialize_with = "line")]
    pub rustc: String,
    /// The target triple; empty for a plugin of the C interface.
    #[serde(default, deserialize_with = "line")]
    pub target: String,
    /// `unwind` or `abort`; empty for a plugin of the C interface.
    #[serde(default, deserialize_with = "line")]
    pub panic: String,
    /// Where exporters of the plugin can run; `None`: in a process or in a thread of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<ManifestIsolation>,
    /// The name of the plugin's crate.
    #[serde(deserialize_with = "line")]
    pub plugin: String,
    /// The version of the plugin.
    #[serde(deserialize_with = "line")]
    pub version: String,
    /// The authors of the plugin.
    #[serde(default, deserialize_with = "line")]
    pub vendor: String,
    /// The licence, as an SPDX expression.
    #[serde(default, deserialize_with = "line")]
    pub license: String,
    /// The exporters of the plugin.
    #[serde(default)]
    pub exporters: Vec<ManifestExporter>,
    /// The drivers of the plugin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<ManifestDriver>,
    /// The file `example.toml` of the plugin, which explains the settings.
    #[serde(default, deserialize_with = "text")]
    pub example: String,
    /// Keys of `plugin.toml` that this host does not know, as `drivers.0.colour`; empty for a library.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub unknown_keys: Vec<String>,
    /// What to run; only for a plugin that is a folder.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub command: Option<PluginCommand>,
}

/// Where exporters of a plugin can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestIsolation {
    /// Only in a process of its own.
    Process,
}

/// An exporter of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ManifestExporter {
    /// The name of the exporter in the configuration.
    #[serde(deserialize_with = "line")]
    pub name: String,
    /// `performance` or `alert`. Another kind needs a newer host.
    #[serde(deserialize_with = "line")]
    pub kind: String,
    /// A short description.
    #[serde(default, deserialize_with = "line")]
    pub description: String,
    /// Whether an instance must be closed before the next one can be made.
    #[serde(default = "exclusive")]
    pub exclusive: bool,
    /// The settings in which no two exporters of the plugin may have the same value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_settings: Vec<String>,
    /// The most items (points or alerts) in one call; `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_points: Option<NonZeroU64>,
    /// The interval at which the host sends active alerts again, in seconds; `None`:
    /// never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend_seconds: Option<NonZeroU64>,
}

/// A driver of a plugin: vendor and model choose it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct ManifestDriver {
    /// The vendor, as a storage is registered with it.
    #[serde(deserialize_with = "line")]
    pub vendor: String,
    /// The model, as a storage is registered with it.
    #[serde(deserialize_with = "line")]
    pub model: String,
    /// The name of the product, for people.
    #[serde(default, deserialize_with = "line")]
    pub title: String,
    /// The access data that the driver needs: `rest`, `ssh`, `cli`, `smis`.
    #[serde(default)]
    pub access: Vec<String>,
    /// The interval of measurements of a storage that has none of its own, in seconds; `None`: that
    /// of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<NonZeroU64>,
    /// The longest time of one call, in seconds.
    #[serde(default = "timeout")]
    pub timeout_seconds: NonZeroU64,
}

/// An array can take minutes to answer.
fn timeout() -> NonZeroU64 {
    const { NonZeroU64::new(300).unwrap() }
}

impl Manifest {
    /// Reads the record at the start of a section. A second record holds the example, if the
    /// first does not: a C compiler cannot escape a text for JSON.
    pub(crate) fn from_section(section: &[u8]) -> Result<Self, Reason> {
        let malformed = |error: String| Reason::MalformedManifest { error };
        let (json, rest) = record(section, MAGIC)?
            .ok_or_else(|| malformed("it does not begin with the magic number".to_owned()))?;
        let mut manifest: Self =
            serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        // The text of a C compiler ends with a zero, which the length does not count.
        let rest = rest.strip_prefix(&[0]).unwrap_or(rest);
        if let Some((example, _)) = record(rest, EXAMPLE_MAGIC)? {
            manifest.example = plain_text(&String::from_utf8_lossy(example));
        }
        Ok(manifest)
    }

    /// Whether the plugin was written for the C interface.
    pub(crate) fn c_version(&self) -> Option<&str> {
        self.abi.strip_prefix(MANIFEST_PREFIX)
    }

    /// Whether exporters of the plugin need a process of their own.
    #[must_use]
    pub fn needs_process(&self) -> bool {
        self.command.is_some() || self.isolation == Some(ManifestIsolation::Process)
    }
}

/// The first bytes of the record with the example.
const EXAMPLE_MAGIC: [u8; 8] = *b"DELFINEX";

/// The content of a record, and what follows it.
type SplitRecord<'a> = (&'a [u8], &'a [u8]);

/// Reads a record; `None` if the bytes begin with something else.
fn record(bytes: &[u8], magic: [u8; 8]) -> Result<Option<SplitRecord<'_>>, Reason> {
    let Some(rest) = bytes.strip_prefix(&magic) else {
        return Ok(None);
    };
    let (format, rest) = number(rest)?;
    if format != FORMAT_VERSION {
        return Err(Reason::NewerManifest {
            found: format,
            wanted: FORMAT_VERSION,
        });
    }
    let (length, rest) = number(rest)?;
    let length = usize::try_from(length).map_err(|_| truncated())?;
    rest.split_at_checked(length)
        .map(Some)
        .ok_or_else(truncated)
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), Reason> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn truncated() -> Reason {
    Reason::MalformedManifest {
        error: "it is truncated".to_owned(),
    }
}

/// The safe default: an exporter may hold a port or a file.
fn exclusive() -> bool {
    true
}

// `plugins list` prints these texts on a terminal, before anyone has decided to trust the
// plugin. Control characters could change what the terminal shows.
fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.replace(char::is_control, " "))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| plain_text(&text))
}

fn plain_text(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"abi":"1.0.0","target":"t","panic":"unwind","plugin":"p",
        "version":"0.1.0","exporters":[{"name":"X","kind":"topology"}],"colour":"red"}"#;

    fn section(format: u32, length: usize, json: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(format.to_le_bytes());
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend(json.as_bytes());
        bytes
    }

    #[test]
    fn unknown_keys_unknown_kinds_and_padding_are_accepted() {
        let mut section = section(1, JSON.len(), JSON);
        section.extend([0; 16]);
        let manifest = Manifest::from_section(&section).unwrap();
        assert_eq!(manifest.exporters[0].kind, "topology");
        assert!(manifest.exporters[0].exclusive);
        assert_eq!(manifest.exporters[0].resend_seconds, None);
    }

    #[test]
    fn control_characters_become_spaces() {
        let json = JSON.replace("\"p\"", "\"\\u001b[31mp\\n\"");
        let manifest = Manifest::from_section(&section(1, json.len(), &json)).unwrap();
        assert_eq!(manifest.plugin, " [31mp ");
    }

    #[test]
    fn a_truncated_record_is_malformed() {
        let whole = section(1, JSON.len(), JSON);
        for end in [0, 4, 8, 12, 15, whole.len() - 1] {
            let reason = Manifest::from_section(&whole[..end]).unwrap_err();
            assert!(
                matches!(reason, Reason::MalformedManifest { .. }),
                "{end}: {reason}"
            );
        }
        let endless = section(1, usize::MAX, JSON);
        assert!(Manifest::from_section(&endless).is_err());
    }

    #[test]
    fn a_second_record_holds_the_example_of_a_plugin_in_c() {
        let mut section = section(1, JSON.len(), JSON);
        section.push(0);
        section.extend(EXAMPLE_MAGIC);
        let example = "# \"x\"\nport = 1\u{1b}\n";
        section.extend(1_u32.to_le_bytes());
        section.extend((example.len() as u32).to_le_bytes());
        section.extend(example.as_bytes());
        section.extend([0; 5]);
        let manifest = Manifest::from_section(&section).unwrap();
        assert_eq!(manifest.example, "# \"x\"\nport = 1 \n");
        assert!(Manifest::from_section(&section[..section.len() - 10]).is_err());
    }

    #[test]
    fn a_plugin_can_demand_a_process() {
        let json = JSON.replace("\"colour\":\"red\"", "\"isolation\":\"process\"");
        let manifest = Manifest::from_section(&section(1, json.len(), &json)).unwrap();
        assert!(manifest.needs_process());
    }

    #[test]
    fn a_newer_format_asks_for_a_newer_host() {
        let reason = Manifest::from_section(&section(2, 0, "")).unwrap_err();
        let (found, wanted) = (2, 1);
        assert_eq!(reason, Reason::NewerManifest { found, wanted });
    }
}
