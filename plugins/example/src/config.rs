//! The settings, from `[exporter.NAME.config]`.

use serde::Deserialize;

/// The example has no settings. An exporter's settings are the fields of this
/// struct; with `deny_unknown_fields` the host reports a misspelt key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}
