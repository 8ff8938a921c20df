//! Which plugin file offers an exporter.
//!
//! Where several do, the highest version of the plugin is taken; a tie goes to
//! the file that was found first. The same content found twice is one plugin.

use std::{collections::BTreeSet, path::PathBuf};

use semver::Version;

use crate::{inspect::Inspection, manifest::ManifestExporter};

/// Plugin files, by what they offer.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    plugins: Vec<Inspection>,
}

/// An exporter, and the file that it is taken from.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The file.
    pub plugin: &'a Inspection,
    /// What the file says of the exporter.
    pub exporter: &'a ManifestExporter,
}

/// Two files offer the same exporter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "exporter `{exporter}` is offered by `{}` {taken_version} and by `{}` {other_version}: \
     `{}` is taken (choose with `library = \"{}\"`, or remove one)",
    taken.display(), other.display(), taken.display(), file_name(taken)
)]
pub struct Duplicate {
    /// The exporter.
    pub exporter: String,
    /// The file that it is taken from.
    pub taken: PathBuf,
    /// The version of that plugin.
    pub taken_version: String,
    /// The file that it is not taken from.
    pub other: PathBuf,
    /// The version of that plugin.
    pub other_version: String,
}

/// An exporter that no file offers as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    /// No file at all offers it.
    #[error("no plugin offers the exporter `{exporter}` (see `plugins list`)")]
    ByAny {
        /// The exporter.
        exporter: String,
    },
    /// The file that was asked for is not there.
    #[error(
        "there is no plugin file `{library}` to take the exporter `{exporter}` from (correct `library`)"
    )]
    NoSuchLibrary {
        /// The exporter.
        exporter: String,
        /// The file.
        library: String,
    },
    /// The file that was asked for does not offer it.
    #[error(
        "the plugin file `{library}` does not offer the exporter `{exporter}` (correct `library`, or remove it)"
    )]
    ByThatLibrary {
        /// The exporter.
        exporter: String,
        /// The file.
        library: String,
    },
}

impl Catalog {
    /// A catalog of these files, in the order in which they were found.
    #[must_use]
    pub fn new(plugins: Vec<Inspection>) -> Self {
        Self { plugins }
    }

    /// The files.
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

    /// Where an exporter is to be taken from; `library` is the name of the only
    /// file that will do.
    ///
    /// # Errors
    /// Where no file, or not that file, offers it.
    pub fn offer(&self, exporter: &str, library: Option<&str>) -> Result<Offer<'_>, NotOffered> {
        let fits = |plugin: &Inspection| library.is_none_or(|library| plugin.library() == library);
        let offers = self.offers(exporter).into_iter();
        if let Some(offer) = { offers }.find(|offer| fits(offer.plugin)) {
            return Ok(offer);
        }
        let exporter = exporter.to_owned();
        Err(match library.map(str::to_owned) {
            None => NotOffered::ByAny { exporter },
            Some(library) if self.plugins.iter().any(fits) => {
                NotOffered::ByThatLibrary { exporter, library }
            }
            Some(library) => NotOffered::NoSuchLibrary { exporter, library },
        })
    }

    /// The files that lose an exporter to another, unless a `library` is named.
    #[must_use]
    pub fn duplicates(&self, exporter: &str) -> Vec<Duplicate> {
        let offers = self.offers(exporter);
        let Some((taken, others)) = offers.split_first() else {
            return Vec::new();
        };
        let others = others.iter().map(|offer| offer.plugin);
        let others = others.filter(|other| other.sha256 != taken.plugin.sha256);
        others
            .map(|other| Duplicate {
                exporter: exporter.to_owned(),
                taken: taken.plugin.path.clone(),
                taken_version: taken.plugin.manifest.version.clone(),
                other: other.path.clone(),
                other_version: other.manifest.version.clone(),
            })
            .collect()
    }

    /// Who offers the exporter, the one to take first.
    fn offers(&self, exporter: &str) -> Vec<Offer<'_>> {
        let offer = |plugin| {
            Some(Offer {
                plugin,
                exporter: find(plugin, exporter)?,
            })
        };
        let mut offers: Vec<_> = self.plugins.iter().filter_map(offer).collect();
        // Stable: files of one version stay in the order in which they were found.
        offers.sort_by_cached_key(|offer| std::cmp::Reverse(version(offer.plugin)));
        offers
    }
}

fn find<'a>(plugin: &'a Inspection, exporter: &str) -> Option<&'a ManifestExporter> {
    let exporters = &plugin.manifest.exporters;
    exporters.iter().find(|offered| offered.name == exporter)
}

/// What is no version is older than any: `check` refuses it anyway.
fn version(plugin: &Inspection) -> Option<Version> {
    Version::parse(&plugin.manifest.version).ok()
}

fn file_name(path: &std::path::Path) -> String {
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

    fn taken(catalog: &Catalog, library: Option<&str>) -> String {
        let offer = catalog.offer("Acme", library).unwrap();
        offer.plugin.path.display().to_string()
    }

    #[test]
    fn the_higher_version_wins_as_versions_compare_and_the_warning_names_both() {
        let plugins = vec![
            plugin("/p/a.so", "0.9.0", "a"),
            plugin("/p/b.so", "0.10.0", "b"),
        ];
        let catalog = Catalog::new(plugins);
        assert_eq!(taken(&catalog, None), "/p/b.so");
        assert_eq!(taken(&catalog, Some("a.so")), "/p/a.so");
        let [duplicate] = &catalog.duplicates("Acme")[..] else {
            panic!("one duplicate");
        };
        assert_eq!(
            duplicate.to_string(),
            "exporter `Acme` is offered by `/p/b.so` 0.10.0 and by `/p/a.so` 0.9.0: `/p/b.so` is \
             taken (choose with `library = \"b.so\"`, or remove one)"
        );
    }

    #[test]
    fn a_release_wins_over_its_own_candidates() {
        let plugins = vec![
            plugin("/p/a.so", "1.0.0-rc.1", "a"),
            plugin("/p/b.so", "1.0.0", "b"),
        ];
        assert_eq!(taken(&Catalog::new(plugins), None), "/p/b.so");
    }

    #[test]
    fn the_same_content_found_twice_is_no_duplicate() {
        let plugins = vec![
            plugin("/p/a.so", "1.0.0", "a"),
            plugin("/q/b.so", "1.0.0", "a"),
        ];
        let catalog = Catalog::new(plugins);
        assert_eq!(taken(&catalog, None), "/p/a.so");
        assert_eq!(taken(&catalog, Some("b.so")), "/q/b.so");
        assert_eq!(catalog.duplicates("Acme"), []);
        assert_eq!(catalog.exporters().collect::<Vec<_>>(), ["Acme"]);
    }

    #[test]
    fn what_is_not_offered_says_whether_the_file_or_the_exporter_is_wrong() {
        let catalog = Catalog::new(vec![plugin("/p/a.so", "1.0.0", "a")]);
        let refused = |exporter, library| catalog.offer(exporter, library).unwrap_err().to_string();
        assert!(refused("Akme", None).starts_with("no plugin offers the exporter `Akme`"));
        assert!(refused("Acme", Some("b.so")).starts_with("there is no plugin file `b.so`"));
        assert!(refused("Akme", Some("a.so")).starts_with("the plugin file `a.so` does not offer"));
    }
}
