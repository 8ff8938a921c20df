//! Plugin files as the commands show them.

use std::path::PathBuf;

use delfin_plugin_loader::{Catalog, FileHashes, Image, Inspection, Manifest, PluginError};
use serde::Serialize;

/// The files in the plugin folders.
#[derive(Debug, Serialize)]
pub(super) struct PluginListing {
    /// The files that the host accepts, in the order in which they were found.
    pub(super) plugins: Vec<PluginFileView>,
    /// Exporters that several files offer. Each line names the file that is used.
    pub(super) duplicates: Vec<String>,
    /// Manifests with keys that this host does not know.
    #[serde(skip)]
    pub(super) unknown_keys: Vec<String>,
    /// The files and folders that the host refuses.
    pub(super) refused: Vec<RefusedFileView>,
}

/// A plugin file and its manifest.
#[derive(Debug, Serialize)]
pub(super) struct PluginFileView {
    pub(super) file: PathBuf,
    /// Bytes.
    pub(super) size: u64,
    pub(super) sha256: String,
    #[serde(flatten)]
    pub(super) manifest: Manifest,
    /// What the file needs from the system.
    pub(super) image: Image,
}

/// A file or folder that the host refuses.
#[derive(Debug, Serialize)]
pub(super) struct RefusedFileView {
    pub(super) file: PathBuf,
    /// The file, the reason and the remedy, in one line.
    pub(super) reason: String,
}

impl PluginListing {
    pub(super) fn of(folders: &[PathBuf], hashes: &FileHashes) -> Self {
        let (catalog, refused) = Catalog::scan(folders, hashes);
        let duplicates = catalog
            .exporters()
            .flat_map(|name| catalog.duplicates(name));
        Self {
            plugins: catalog.plugins().iter().map(PluginFileView::from).collect(),
            duplicates: duplicates.map(|line| line.to_string()).collect(),
            unknown_keys: catalog
                .plugins()
                .iter()
                .filter_map(Inspection::unknown_keys)
                .collect(),
            refused: refused.iter().map(RefusedFileView::from).collect(),
        }
    }
}

impl From<&Inspection> for PluginFileView {
    fn from(plugin: &Inspection) -> Self {
        Self {
            file: plugin.path.clone(),
            size: plugin.size,
            sha256: plugin.sha256.to_string(),
            manifest: plugin.manifest.clone(),
            image: plugin.image.clone(),
        }
    }
}

impl From<&PluginError> for RefusedFileView {
    fn from(error: &PluginError) -> Self {
        Self {
            file: error.path.clone(),
            reason: error.to_string(),
        }
    }
}
