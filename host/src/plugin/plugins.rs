//! The plugin files of the host: which file offers an exporter, and its library,
//! opened.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::redact::Redactor;
use delfin_plugin_loader::{
    self as loader, Catalog, CatalogDriver, CatalogEntry, FileHashes, Inspection, OpenOptions,
    PluginError, PreparedPlugin, Reason, Sha256,
};

use super::{
    driver::{DriverModel, DriverSource, FoundDrivers},
    instance::InstanceSource,
    probe::probe,
    process::{ProcessRole, ProcessSource},
    view::{PluginExporterView, PluginView},
};
use crate::{
    collect::DriverRegistry,
    config::{Config, DriverLimits, ExporterConfig, Isolation},
};

#[derive(Debug)]
pub struct Plugins {
    catalog: Catalog,
    refused: Vec<PluginError>,
    options: OpenOptions,
    redactor: Redactor,
    driver_limits: DriverLimits,
    prepared: HashMap<(PathBuf, Option<Sha256>), Result<PreparedPlugin, PluginError>>,
}

/// Creates instances of an exporter: the library that offers it.
#[derive(Clone)]
pub struct ExporterFactory {
    pub source: InstanceSource,
    pub version: String,
    /// SHA-256 of the plugin file, in hexadecimal.
    pub sha256: String,
    /// The interval at which the exporter wants active alerts to be resent.
    pub resend: Option<Duration>,
    /// Whether two instances conflict with each other.
    pub exclusive: bool,
    /// The settings in which no two exporters of the plugin may have the same value.
    pub unique_settings: Vec<String>,
    /// The most items in one call.
    pub max_points: Option<u64>,
}

impl Plugins {
    /// Searches the plugin directories. Runs no code of the files.
    #[must_use]
    pub fn find(config: &Config) -> Self {
        let hashes = FileHashes::in_cache(&config.plugin_cache_dir);
        let (catalog, refused) = Catalog::scan(&config.plugin_dirs, &hashes);
        Self {
            catalog,
            refused,
            options: OpenOptions {
                hashes: Arc::new(hashes),
                ..OpenOptions::new(&config.plugin_cache_dir)
            },
            redactor: config.redactor.clone(),
            driver_limits: config.driver_limits.clone(),
            prepared: HashMap::new(),
        }
    }

    /// The files that can be used.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// One line for each refused file, for each exporter that several files offer, and for each
    /// manifest with unknown keys.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().map(ToString::to_string);
        let names = self.catalog.exporters();
        let duplicates = names.flat_map(|name| self.catalog.duplicates(name));
        let plugins = self.catalog.plugins().iter();
        let unknown = plugins.filter_map(Inspection::unknown_keys);
        let duplicates = duplicates.map(|duplicate| duplicate.to_string());
        refused.chain(duplicates).chain(unknown)
    }

    /// Why a file of the catalog could not be opened, if that was tried.
    #[must_use]
    pub fn open_error(&self, file: &Path) -> Option<&PluginError> {
        let prepared = self.prepared.iter().filter(|((path, _), _)| path == file);
        prepared
            .filter_map(|(_, prepared)| prepared.as_ref().err())
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

    /// Whether the configuration names an exporter that no file offers as this kind. While a
    /// file is refused, it may be the one that offers the exporter.
    #[must_use]
    pub fn is_unknown(&self, exporter: &ExporterConfig) -> bool {
        let library = exporter.library.as_deref();
        match self.catalog.entry(&exporter.plugin, library) {
            Ok(offer) => offer.exporter.kind != exporter.kind.as_str(),
            Err(_) => self.refused.is_empty(),
        }
    }

    /// Checks that the plugin of an exporter can run where its configuration says.
    ///
    /// # Errors
    ///
    /// The plugin needs a process, and the exporter must run in a thread; in one line.
    pub fn check_isolation(&self, exporter: &ExporterConfig) -> Result<(), String> {
        let library = exporter.library.as_deref();
        match self.catalog.entry(&exporter.plugin, library) {
            Ok(offer) => check_isolation(offer.plugin, exporter),
            // To open the exporter has this error as well.
            Err(_) => Ok(()),
        }
    }

    /// Checks that a plugin offers an exporter, and can run where its configuration says.
    ///
    /// # Errors
    ///
    /// As [`Self::open_exporter`], without opening the file.
    pub fn check_offer(&self, exporter: &ExporterConfig) -> Result<(), String> {
        offer(&self.catalog, &self.refused, exporter).map(drop)
    }

    /// Prepares the plugin that offers an exporter, and opens it if the exporter runs in a
    /// thread of the host.
    ///
    /// # Errors
    ///
    /// No plugin offers the exporter as this kind, or the file cannot be opened; in
    /// one line.
    pub fn open_exporter(&mut self, exporter: &ExporterConfig) -> Result<ExporterFactory, String> {
        let CatalogEntry {
            plugin,
            exporter: declared,
        } = offer(&self.catalog, &self.refused, exporter)?;
        let options = OpenOptions {
            sha256: exporter.sha256,
            ..self.options.clone()
        };
        let entry = self.prepared.entry((plugin.path.clone(), exporter.sha256));
        let prepared = entry.or_insert_with(|| loader::prepare(plugin, &options));
        let source = prepared.as_ref().map_err(PluginError::clone);
        let source =
            source.and_then(|prepared| instance_source(prepared, exporter, &self.redactor));
        // A library that cannot be opened is shown so in the list of plugins.
        if let Err(refusal) = &source {
            *prepared = Err(refusal.clone());
        }
        Ok(ExporterFactory {
            source: source.map_err(|refusal| refusal.to_string())?,
            version: plugin.manifest.version.clone(),
            sha256: plugin.sha256.to_string(),
            resend: declared
                .resend_seconds
                .map(|seconds| Duration::from_secs(seconds.get())),
            exclusive: declared.exclusive,
            unique_settings: declared.unique_settings.clone(),
            max_points: declared.max_points.map(NonZeroU64::get),
        })
    }

    /// The drivers that the plugins offer. A driver of the host itself is not replaced.
    pub fn drivers(&mut self) -> FoundDrivers {
        let own = DriverRegistry::default();
        let mut found = FoundDrivers {
            limits: self.driver_limits.clone(),
            ..FoundDrivers::default()
        };
        for CatalogDriver { plugin, driver } in self.catalog.drivers() {
            let (vendor, model) = (&driver.vendor, &driver.model);
            let path = plugin.path.display();
            if own.has(vendor, model) {
                found.refused.push(format!(
                    "`{path}` offers a driver for vendor `{vendor}`, model `{model}`, which the host has itself"
                ));
                continue;
            }
            let entry = self.prepared.entry((plugin.path.clone(), None));
            let prepared = entry.or_insert_with(|| loader::prepare(plugin, &self.options));
            match prepared {
                Ok(prepared) => {
                    let source = DriverSource {
                        plugin: prepared.clone(),
                        sha256: plugin.sha256.to_string(),
                        timeout: Duration::from_secs(driver.timeout_seconds.get()),
                        interval: driver
                            .interval_seconds
                            .map(|seconds| Duration::from_secs(seconds.get())),
                        access: driver.access.clone(),
                    };
                    let (vendor, model) = (vendor.clone(), model.clone());
                    found.sources.insert(DriverModel { vendor, model }, source);
                }
                Err(error) => found.refused.push(error.to_string()),
            }
        }
        found
    }
}

/// The entry of the plugin that offers an exporter as its kind, and can run where its configuration says.
fn offer<'c>(
    catalog: &'c Catalog,
    refused: &[PluginError],
    exporter: &ExporterConfig,
) -> Result<CatalogEntry<'c>, String> {
    let found = catalog.entry(&exporter.plugin, exporter.library.as_deref());
    let offer = found.map_err(|error| with_refusals(refused, error.to_string()))?;
    if offer.exporter.kind != exporter.kind.as_str() {
        return Err(format!(
            "`{}` of plugin `{}` receives batches of kind `{}`, not `{}` (name it in the other list)",
            exporter.plugin,
            offer.plugin.library(),
            offer.exporter.kind,
            exporter.kind
        ));
    }
    check_isolation(offer.plugin, exporter)?;
    Ok(offer)
}

/// Names the refused files: one of them may be the missing plugin.
fn with_refusals(refused: &[PluginError], error: String) -> String {
    match refused {
        [] => error,
        [one] => format!("{error}; refused: {one}"),
        [first, rest @ ..] => format!("{error}; refused: {first} (and {} more)", rest.len()),
    }
}

fn check_isolation(plugin: &Inspection, exporter: &ExporterConfig) -> Result<(), String> {
    if plugin.manifest.needs_process() && exporter.isolation == Isolation::Thread {
        return Err(Reason::OnlyProcess.at(&plugin.path).to_string());
    }
    Ok(())
}

fn instance_source(
    plugin: &PreparedPlugin,
    exporter: &ExporterConfig,
    redactor: &Redactor,
) -> Result<InstanceSource, PluginError> {
    match exporter.isolation {
        Isolation::Thread => {
            let probed = probe(plugin, exporter, redactor);
            probed.map_err(|reason| reason.at(&plugin.inspection().path))?;
            Ok(InstanceSource::Library(plugin.open()?.module()))
        }
        Isolation::Process => Ok(InstanceSource::Process(Arc::new(ProcessSource {
            plugin: plugin.clone(),
            role: ProcessRole::Exporter,
            limits: exporter.limits,
            timeout: exporter.timeout,
        }))),
    }
}

impl std::fmt::Debug for ExporterFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExporterFactory")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
