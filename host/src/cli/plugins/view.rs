//! What is shown of plugin files, for people and for machines.

use std::path::{Path, PathBuf};

use delfin_plugin_loader::{
    Catalog, Image, Inspection, Manifest, Reason, Refusal, check, find, inspect,
};
use serde::Serialize;

/// What the plugin folders hold.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// Files that the host takes, in the order in which they were found.
    pub plugins: Vec<PluginView>,
    /// Exporters that several files offer: one line each, naming the file that is taken.
    pub duplicates: Vec<String>,
    /// Files and folders that it does not take.
    pub refused: Vec<RefusedView>,
}

/// A plugin file: what it is, and what it says of itself.
#[derive(Debug, Serialize)]
pub struct PluginView {
    /// Where it is.
    pub file: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// The hash of its content.
    pub sha256: String,
    /// What it says of itself.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// What it asks of the machine.
    pub image: Image,
}

/// A file or folder that the host does not take.
#[derive(Debug, Serialize)]
pub struct RefusedView {
    /// Where it is.
    pub file: PathBuf,
    /// One line: the file, the reason, the remedy.
    pub reason: String,
}

impl Listing {
    /// Looks through these folders.
    #[must_use]
    pub fn of(folders: &[PathBuf]) -> Self {
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
            plugins: catalog.plugins().iter().map(PluginView::from).collect(),
            duplicates: duplicates.map(|line| line.to_string()).collect(),
            refused: refusals.iter().map(RefusedView::from).collect(),
        }
    }
}

/// Why the host would not take an inspected file.
pub(super) fn objection(plugin: &Inspection) -> Result<(), Refusal> {
    check(plugin)?;
    let distrust = plugin.trust.clone();
    distrust.map_err(|distrust| Reason::Distrusted(distrust).of(&plugin.path))
}

fn accept(file: &Path) -> Result<Inspection, Refusal> {
    let plugin = inspect(file)?;
    objection(&plugin)?;
    Ok(plugin)
}

impl From<&Inspection> for PluginView {
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

impl From<&Refusal> for RefusedView {
    fn from(refusal: &Refusal) -> Self {
        Self {
            file: refusal.path.clone(),
            reason: refusal.to_string(),
        }
    }
}
