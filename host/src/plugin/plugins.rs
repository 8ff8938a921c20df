//! The plugin files of the host: which file offers an exporter, and its library,
//! opened.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};

use delfin_plugin_abi::PluginRef;
use delfin_plugin_loader::{
    self as loader, Catalog, OpenOptions, OpenPlugin, PluginError, Probe, Sha256,
};

use super::view::{PluginExporterView, PluginView};
use crate::config::{Config, ExporterConfig};

/// The hidden command with which the host opens a library in a child process
/// before it opens the library itself.
pub const PROBE_COMMAND: &str = "__probe";

#[derive(Debug)]
pub struct Plugins {
    catalog: Catalog,
    refused: Vec<PluginError>,
    options: OpenOptions,
    opened: HashMap<(PathBuf, Option<Sha256>), Result<OpenPlugin, PluginError>>,
}

/// Creates instances of an exporter: the opened library that offers it.
#[derive(Clone)]
pub struct ExporterFactory {
    pub root: PluginRef,
    pub version: String,
    /// SHA-256 of the plugin file, in hexadecimal.
    pub sha256: String,
    /// The interval at which the exporter wants active alerts to be resent.
    pub resend: Option<Duration>,
    /// Whether two instances conflict with each other.
    pub exclusive: bool,
    /// The most items in one call.
    pub max_points: Option<u64>,
}

impl Plugins {
    /// Searches the plugin directories. Runs no code of the files.
    #[must_use]
    pub fn find(config: &Config) -> Self {
        let (catalog, refused) = Catalog::scan(&config.plugin_dirs);
        let mut options = OpenOptions::new(&config.plugin_cache_dir);
        if let Ok(program) = std::env::current_exe() {
            let (args, timeout) = (vec![PROBE_COMMAND.into()], Probe::TIMEOUT);
            options.probe = Probe::Command {
                program,
                args,
                timeout,
            };
        }
        Self {
            catalog,
            refused,
            options,
            opened: HashMap::new(),
        }
    }

    /// The files that can be used.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// One line for each refused file, and for each exporter that several files offer.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().map(ToString::to_string);
        let names = self.catalog.exporters();
        let duplicates = names.flat_map(|name| self.catalog.duplicates(name));
        refused.chain(duplicates.map(|duplicate| duplicate.to_string()))
    }

    /// Why a file of the catalog could not be opened, if that was tried.
    #[must_use]
    pub fn open_error(&self, file: &Path) -> Option<&PluginError> {
        let opened = self.opened.iter().filter(|((path, _), _)| path == file);
        opened
            .filter_map(|(_, opened)| opened.as_ref().err())
            .next()
    }

    #[must_use]
    pub fn refused(&self) -> &[PluginError] {
        &self.refused
    }

    pub fn views(&self) -> impl Iterator<Item = PluginView> {
        let found = self.catalog().plugins().iter().map(|plugin| {
            let manifest = &plugin.manifest;
            let exporters = manifest
                .exporters
                .iter()
                .map(|exporter| PluginExporterView {
                    name: exporter.name.clone(),
                    kind: exporter.kind.clone(),
                    description: exporter.description.clone(),
                });
            PluginView {
                file: plugin.path.display().to_string(),
                sha256: Some(plugin.sha256.to_string()),
                name: Some(manifest.plugin.clone()),
                version: Some(manifest.version.clone()),
                vendor: Some(manifest.vendor.clone()),
                license: Some(manifest.license.clone()),
                abi: Some(manifest.abi.clone()),
                exporters: exporters.collect(),
                refused: self.open_error(&plugin.path).map(ToString::to_string),
            }
        });
        let refused = self.refused().iter().map(|refusal| PluginView {
            file: refusal.path.display().to_string(),
            refused: Some(refusal.to_string()),
            ..PluginView::default()
        });
        found.chain(refused)
    }

    /// Opens the plugin that offers an exporter.
    ///
    /// # Errors
    ///
    /// No plugin offers the exporter as this kind, or the file cannot be opened; in
    /// one line.
    pub fn open_exporter(&mut self, exporter: &ExporterConfig) -> Result<ExporterFactory, String> {
        let offer = self
            .catalog
            .entry(&exporter.plugin, exporter.library.as_deref());
        let offer = offer.map_err(|error| self.with_refusals(error.to_string()))?;
        if offer.exporter.kind != exporter.kind.as_str() {
            return Err(format!(
                "`{}` of plugin `{}` receives batches of kind `{}`, not `{}` (name it in the other list)",
                exporter.plugin,
                offer.plugin.library(),
                offer.exporter.kind,
                exporter.kind
            ));
        }
        let (plugin, declared) = (offer.plugin, offer.exporter);
        let options = OpenOptions {
            sha256: exporter.sha256,
            ..self.options.clone()
        };
        let opened = self
            .opened
            .entry((plugin.path.clone(), exporter.sha256))
            .or_insert_with(|| loader::open(plugin, &options));
        match opened {
            Ok(opened) => Ok(ExporterFactory {
                root: opened.module(),
                version: plugin.manifest.version.clone(),
                sha256: plugin.sha256.to_string(),
                resend: declared
                    .resend_seconds
                    .map(|seconds| Duration::from_secs(seconds.get())),
                exclusive: declared.exclusive,
                max_points: declared.max_points.map(NonZeroU64::get),
            }),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    /// Names the refused files: one of them may be the missing plugin.
    fn with_refusals(&self, error: String) -> String {
        match &*self.refused {
            [] => error,
            [one] => format!("{error}; refused: {one}"),
            [first, rest @ ..] => format!("{error}; refused: {first} (and {} more)", rest.len()),
        }
    }
}

impl std::fmt::Debug for ExporterFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExporterFactory")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
