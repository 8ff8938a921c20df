//! Plugin files as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

/// A plugin file. Fields of a refused file are null where they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginView {
    /// Path of the file.
    pub file: String,
    /// SHA-256 of the file's content, in hexadecimal.
    pub sha256: Option<String>,
    /// Name of the plugin.
    pub name: Option<String>,
    pub version: Option<String>,
    pub vendor: Option<String>,
    /// SPDX licence expression.
    pub license: Option<String>,
    /// Version of the plugin interface that the plugin was built for.
    pub abi: Option<String>,
    /// Exporters that the plugin offers.
    pub exporters: Vec<PluginExporterView>,
    /// Why the file is not used; null if it can be used.
    pub refused: Option<String>,
}

/// An exporter that a plugin offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginExporterView {
    /// Value of `plugin` in the configuration.
    pub name: String,
    /// Kind of batches that it receives: `performance` or `alert`.
    #[schema(example = "performance")]
    pub kind: String,
    /// One line.
    pub description: String,
}
