//! Plugin files as the commands show them.

use std::path::{Path, PathBuf};

use delfin_plugin_loader::{
    Catalog, Image, Inspection, Manifest, Reason, Refusal, check, find, inspect,
};
use serde::Serialize;

/// The files in the plugin folders.
#[derive(Debug, Serialize)]
pub(super) struct PluginListing {
    /// The files that the host accepts, in the order in which they were found.
    pub(super) plugins: Vec<PluginFileView>,
    /// Exporters that several files offer. Each line names the file that is used.
    pub(super) duplicates: Vec<String>,
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
    pub(super) fn of(folders: &[PathBuf]) -> Self {
        let (files, mut refusals) = find(folders);
        let mut accepted = Vec::new();
        for file in files {
            match accept(&file) {
                Ok(plugin) => accepted.push(plugin),
                Err(refusal) => refusals.push(refusal),
            }
        }
        let catalog = Catalog::new(accepted);
        let duplicates = catalog
            .exporters()
            .flat_map(|name| catalog.duplicates(name));
        Self {
            plugins: catalog.plugins().iter().map(PluginFileView::from).collect(),
            duplicates: duplicates.map(|line| line.to_string()).collect(),
            refused: refusals.iter().map(RefusedFileView::from).collect(),
        }
    }
}

/// Returns the reason why the host would refuse an inspected file.
pub(super) fn check_acceptable(plugin: &Inspection) -> Result<(), Refusal> {
    check(plugin)?;
    let trust = plugin.trust.clone();
    trust.map_err(|untrusted| Reason::Distrusted(untrusted).of(&plugin.path))
}

fn accept(file: &Path) -> Result<Inspection, Refusal> {
    let plugin = inspect(file)?;
    check_acceptable(&plugin)?;
    Ok(plugin)
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

impl From<&Refusal> for RefusedFileView {
    fn from(refusal: &Refusal) -> Self {
        Self {
            file: refusal.path.clone(),
            reason: refusal.to_string(),
        }
    }
}
