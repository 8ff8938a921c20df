//! The plugins of this host: which file offers an exporter, and the file opened.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};

use delfin_plugin_abi::PluginRef;
use delfin_plugin_loader::{
    self as loader, Catalog, Inspection, OpenOptions, OpenPlugin, Probe, Reason, Refusal, Sha256,
};

use super::view::{PluginExporterView, PluginView};
use crate::config::{Config, ExporterConfig};

/// The command that the host runs itself with to try a library: see `cli`.
pub const PROBE_COMMAND: &str = "__probe";

/// The plugins that were found, those that were refused, and those in use.
#[derive(Debug)]
pub struct Plugins {
    catalog: Catalog,
    refused: Vec<Refusal>,
    options: OpenOptions,
    opened: HashMap<(PathBuf, Option<Sha256>), Result<OpenPlugin, Refusal>>,
}

/// The plugin that offers an exporter.
#[derive(Clone)]
pub struct ExporterFactory {
    /// Its library, open.
    pub root: PluginRef,
    /// Its version.
    pub version: String,
    /// The content of its file.
    pub sha256: String,
    /// How often the exporter wants to be sent the active alerts again.
    pub resend: Option<Duration>,
    /// Whether two instances exclude each other.
    pub exclusive: bool,
    /// The most items that it takes in one call.
    pub max_points: Option<u64>,
}

impl Plugins {
    /// Looks through the plugin directories; runs no code of what it finds.
    #[must_use]
    pub fn find(config: &Config) -> Self {
        let (files, mut refused) = loader::find(&config.plugin_dirs);
        let mut plugins = Vec::new();
        for file in files {
            match inspect(&file) {
                Ok(plugin) => plugins.push(plugin),
                Err(refusal) => refused.push(refusal),
            }
        }
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
            catalog: Catalog::new(plugins),
            refused,
            options,
            opened: HashMap::new(),
        }
    }

    /// What was found and fits.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What an operator should know of the files: a line for each that was
    /// refused, and for each exporter that several offer.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().map(ToString::to_string);
        let names = self.catalog.exporters();
        let duplicates = names.flat_map(|name| self.catalog.duplicates(name));
        refused.chain(duplicates.map(|duplicate| duplicate.to_string()))
    }

    /// Why a file that fits is not used: it was opened, and that went wrong.
    #[must_use]
    pub fn unusable(&self, file: &Path) -> Option<&Refusal> {
        let opened = self.opened.iter().filter(|((path, _), _)| path == file);
        opened
            .filter_map(|(_, opened)| opened.as_ref().err())
            .next()
    }

    /// What was found and does not fit, and why.
    #[must_use]
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// The files, as the API shows them.
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
                refused: self.unusable(&plugin.path).map(ToString::to_string),
            }
        });
        let refused = self.refused().iter().map(|refusal| PluginView {
            file: refusal.path.display().to_string(),
            refused: Some(refusal.to_string()),
            ..PluginView::default()
        });
        found.chain(refused)
    }

    /// The plugin that offers an exporter, opened.
    ///
    /// # Errors
    ///
    /// None offers it as that kind, or it cannot be opened; in one line.
    pub fn offer(&mut self, exporter: &ExporterConfig) -> Result<ExporterFactory, String> {
        let offer = self
            .catalog
            .offer(&exporter.plugin, exporter.library.as_deref());
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

    /// A file that was refused may be the one that is missed.
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

fn inspect(file: &Path) -> Result<Inspection, Refusal> {
    let plugin = loader::inspect(file)?;
    loader::check(&plugin)?;
    // What will not be opened must not win over a file that would be.
    let trust = plugin.trust.clone();
    trust.map_err(|distrust| Reason::Distrusted(distrust).of(file))?;
    Ok(plugin)
}
