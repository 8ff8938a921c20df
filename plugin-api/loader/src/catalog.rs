//! The plugin files by the exporters that they have.
//!
//! If several files have an exporter, the catalog chooses the highest version of the
//! plugin, and among equal versions the file that was found first. Files with the same
//! content are one plugin.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use semver::Version;

use crate::{
    check::accept,
    error::PluginError,
    find::find,
    hashes::FileHashes,
    inspect::{Inspection, inspect_with},
    linker_path::SystemFolders,
    manifest::{ManifestDriver, ManifestExporter},
};

/// The plugin files that the host accepts.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    plugins: Vec<Inspection>,
}

/// An exporter, and the file that has it.
#[derive(Debug, Clone, Copy)]
pub struct CatalogEntry<'a> {
    /// The file.
    pub plugin: &'a Inspection,
    /// The exporter, from the manifest of the file.
    pub exporter: &'a ManifestExporter,
}

/// A driver, and the plugin that has it.
#[derive(Debug, Clone, Copy)]
pub struct CatalogDriver<'a> {
    /// The plugin.
    pub plugin: &'a Inspection,
    /// The driver, from the manifest of the plugin.
    pub driver: &'a ManifestDriver,
}

/// Two files have the same exporter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "exporter `{exporter}` is offered by `{}` {chosen_version} and by `{}` {other_version}: \
     `{}` is used (choose with `library = \"{}\"`, or remove one)",
    chosen.display(), other.display(), chosen.display(), file_name(chosen)
)]
pub struct DuplicateExporter {
    /// The name of the exporter.
    pub exporter: String,
    /// The file that the host uses, unless `library` names another one.
    pub chosen: PathBuf,
    /// The version of the plugin in `chosen`.
    pub chosen_version: String,
    /// The other file.
    pub other: PathBuf,
    /// The version of the plugin in `other`.
    pub other_version: String,
}

/// Why the catalog does not find an exporter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No file has the exporter.
    #[error("no plugin offers the exporter `{exporter}` (see `plugins list`)")]
    UnknownExporter {
        /// The name of the exporter.
        exporter: String,
    },
    /// No file has the name that `library` selects.
    #[error(
        "the plugin file `{library}` for the exporter `{exporter}` does not exist (correct `library`)"
    )]
    UnknownLibrary {
        /// The name of the exporter.
        exporter: String,
        /// The name of the file.
        library: String,
    },
    /// The file that `library` selects does not have the exporter.
    #[error(
        "the plugin file `{library}` does not offer the exporter `{exporter}` (correct `library`, or remove it)"
    )]
    NotInLibrary {
        /// The name of the exporter.
        exporter: String,
        /// The name of the file.
        library: String,
    },
}

impl Catalog {
    /// Finds, inspects and checks the plugin files in these folders. Runs no code of a
    /// plugin. A file whose hash is remembered is not read as a whole.
    ///
    /// Returns the catalog of the accepted files, and the files and folders that are
    /// refused.
    #[must_use]
    pub fn scan(folders: &[PathBuf], hashes: &FileHashes) -> (Self, Vec<PluginError>) {
        let (files, mut refused) = find(folders);
        let mut plugins = Vec::new();
        for inspected in inspect_all(&files, hashes) {
            match inspected {
                Ok(plugin) => plugins.push(plugin),
                Err(error) => refused.push(error),
            }
        }
        hashes.save();
        (Self::new(plugins), refused)
    }

    /// A catalog of these files, in the order in which they were found.
    #[must_use]
    pub fn new(plugins: Vec<Inspection>) -> Self {
        Self { plugins }
    }

    /// The files, in the order in which they were found.
    #[must_use]
    pub fn plugins(&self) -> &[Inspection] {
        &self.plugins
    }

    /// The names of all exporters, sorted.
    pub fn exporters(&self) -> impl Iterator<Item = &str> {
        let exporters = self.plugins.iter().flat_map(|p| &p.manifest.exporters);
        let names: BTreeSet<_> = exporters.map(|e| e.name.as_str()).collect();
        names.into_iter()
    }

    /// The plugin to use for each vendor and model, sorted.
    #[must_use]
    pub fn drivers(&self) -> Vec<CatalogDriver<'_>> {
        let mut chosen: BTreeMap<_, CatalogDriver<'_>> = BTreeMap::new();
        for plugin in &self.plugins {
            for driver in &plugin.manifest.drivers {
                let found = CatalogDriver { plugin, driver };
                let entry = chosen.entry((&driver.vendor, &driver.model));
                entry
                    .and_modify(|chosen| {
                        if version(plugin) > version(chosen.plugin) {
                            *chosen = found;
                        }
                    })
                    .or_insert(found);
            }
        }
        chosen.into_values().collect()
    }

    /// The file to use for an exporter. `library` is a file name; only a file of that
    /// name will do.
    ///
    /// # Errors
    ///
    /// No file has the exporter, or no file of that name.
    pub fn entry(
        &self,
        exporter: &str,
        library: Option<&str>,
    ) -> Result<CatalogEntry<'_>, CatalogError> {
        let fits = |plugin: &Inspection| library.is_none_or(|library| plugin.library() == library);
        let entries = self.entries(exporter);
        if let Some(entry) = entries.into_iter().find(|entry| fits(entry.plugin)) {
            return Ok(entry);
        }
        let exporter = exporter.to_owned();
        Err(match library.map(str::to_owned) {
            None => CatalogError::UnknownExporter { exporter },
            Some(library) if self.plugins.iter().any(fits) => {
                CatalogError::NotInLibrary { exporter, library }
            }
            Some(library) => CatalogError::UnknownLibrary { exporter, library },
        })
    }

    /// The files that have an exporter but are not used for it, unless `library` names
    /// them. A file with the same content as the chosen one is not among them.
    #[must_use]
    pub fn duplicates(&self, exporter: &str) -> Vec<DuplicateExporter> {
        let entries = self.entries(exporter);
        let Some((chosen, others)) = entries.split_first() else {
            return Vec::new();
        };
        let others = others.iter().map(|entry| entry.plugin);
        let others = others.filter(|other| other.sha256 != chosen.plugin.sha256);
        others
            .map(|other| DuplicateExporter {
                exporter: exporter.to_owned(),
                chosen: chosen.plugin.path.clone(),
                chosen_version: chosen.plugin.manifest.version.clone(),
                other: other.path.clone(),
                other_version: other.manifest.version.clone(),
            })
            .collect()
    }

    /// The files that have the exporter, the one to use first.
    fn entries(&self, exporter: &str) -> Vec<CatalogEntry<'_>> {
        let entry = |plugin| {
            Some(CatalogEntry {
                plugin,
                exporter: exporter_of(plugin, exporter)?,
            })
        };
        let mut entries: Vec<_> = self.plugins.iter().filter_map(entry).collect();
        // The sort is stable: files of one version stay in the order in which they were
        // found.
        entries.sort_by_cached_key(|entry| std::cmp::Reverse(version(entry.plugin)));
        entries
    }
}

/// Inspects files on all processors. The results are in the order of the files.
fn inspect_all(files: &[PathBuf], hashes: &FileHashes) -> Vec<Result<Inspection, PluginError>> {
    // A file that `open` would refuse must not win over one that it would open.
    let system = SystemFolders::read();
    let inspect = |file: &Path| {
        let plugin = inspect_with(file, hashes, &system)?;
        accept(&plugin).map(|()| plugin)
    };
    let next = AtomicUsize::new(0);
    let inspect_some = || {
        let files = std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            Some((index, files.get(index)?))
        });
        let inspected = files.map(|(index, file)| (index, inspect(file)));
        inspected.collect::<Vec<_>>()
    };
    let others = thread::available_parallelism().map_or(1, usize::from);
    let others = others.min(files.len()).saturating_sub(1);
    let mut inspected = thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(inspect_some)).collect();
        let mut inspected = inspect_some();
        for other in others {
            match other.join() {
                Ok(more) => inspected.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        inspected
    });
    inspected.sort_unstable_by_key(|(index, _)| *index);
    inspected.into_iter().map(|(_, result)| result).collect()
}

fn exporter_of<'a>(plugin: &'a Inspection, exporter: &str) -> Option<&'a ManifestExporter> {
    let exporters = &plugin.manifest.exporters;
    exporters.iter().find(|declared| declared.name == exporter)
}

/// The version of a plugin. A text that is not a version sorts first; `check` refuses it.
fn version(plugin: &Inspection) -> Option<Version> {
    Version::parse(&plugin.manifest.version).ok()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Manifest, Sha256};

    fn plugin(path: &str, version: &str, content: &str) -> Inspection {
        let json = format!(
            r#"{{"abi":"1.0.0","target":"t","panic":"unwind","plugin":"p","version":"{version}",
                "exporters":[{{"name":"Acme","kind":"alert"}}]}}"#
        );
        Inspection {
            path: path.into(),
            sha256: Sha256::of(content.as_bytes()),
            size: 1,
            manifest: serde_json::from_str::<Manifest>(&json).unwrap(),
            image: Image::default(),
            trust: Ok(()),
        }
    }

    fn chosen(catalog: &Catalog, library: Option<&str>) -> String {
        let entry = catalog.entry("Acme", library).unwrap();
        entry.plugin.path.display().to_string()
    }

    #[test]
    fn the_higher_version_is_used_and_the_warning_names_both() {
        let plugins = vec![
            plugin("/p/a.so", "0.9.0", "a"),
            plugin("/p/b.so", "0.10.0", "b"),
        ];
        let catalog = Catalog::new(plugins);
        assert_eq!(chosen(&catalog, None), "/p/b.so");
        assert_eq!(chosen(&catalog, Some("a.so")), "/p/a.so");
        let [duplicate] = &catalog.duplicates("Acme")[..] else {
            panic!("one duplicate");
        };
        assert_eq!(
            duplicate.to_string(),
            "exporter `Acme` is offered by `/p/b.so` 0.10.0 and by `/p/a.so` 0.9.0: `/p/b.so` is \
             used (choose with `library = \"b.so\"`, or remove one)"
        );
    }

    #[test]
    fn a_release_is_higher_than_its_release_candidates() {
        let plugins = vec![
            plugin("/p/a.so", "1.0.0-rc.1", "a"),
            plugin("/p/b.so", "1.0.0", "b"),
        ];
        assert_eq!(chosen(&Catalog::new(plugins), None), "/p/b.so");
    }

    #[test]
    fn two_files_with_the_same_content_are_not_duplicates() {
        let plugins = vec![
            plugin("/p/a.so", "1.0.0", "a"),
            plugin("/q/b.so", "1.0.0", "a"),
        ];
        let catalog = Catalog::new(plugins);
        assert_eq!(chosen(&catalog, None), "/p/a.so");
        assert_eq!(chosen(&catalog, Some("b.so")), "/q/b.so");
        assert_eq!(catalog.duplicates("Acme"), []);
        assert_eq!(catalog.exporters().collect::<Vec<_>>(), ["Acme"]);
    }

    #[test]
    fn the_higher_version_has_the_driver_and_at_equal_versions_the_first_plugin() {
        let with = |path: &str, version: &str, models: &[&str]| {
            let mut plugin = plugin(path, version, path);
            plugin.manifest.drivers = models
                .iter()
                .map(|model| {
                    let json = format!(r#"{{"vendor":"acme","model":"{model}"}}"#);
                    serde_json::from_str(&json).unwrap()
                })
                .collect();
            plugin
        };
        let catalog = Catalog::new(vec![
            with("/p/a.plugin", "1.0.0", &["one", "two"]),
            with("/p/b.plugin", "1.10.0", &["two"]),
            with("/p/c.plugin", "1.0.0", &["one"]),
        ]);
        let found = catalog.drivers();
        let found = found.iter().map(|found| {
            let path = found.plugin.path.display().to_string();
            (
                &*found.driver.model,
                path,
                found.driver.timeout_seconds.get(),
            )
        });
        let expected = [("one", "/p/a.plugin"), ("two", "/p/b.plugin")];
        let expected = expected.map(|(model, path)| (model, path.to_owned(), 300));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_error_tells_whether_the_file_or_the_exporter_is_unknown() {
        let catalog = Catalog::new(vec![plugin("/p/a.so", "1.0.0", "a")]);
        let refused = |exporter, library| catalog.entry(exporter, library).unwrap_err().to_string();
        assert!(refused("Akme", None).starts_with("no plugin offers the exporter `Akme`"));
        assert!(
            refused("Acme", Some("b.so"))
                .starts_with("the plugin file `b.so` for the exporter `Acme` does not")
        );
        assert!(refused("Akme", Some("a.so")).starts_with("the plugin file `a.so` does not offer"));
    }
}
