//! `plugins`: what plugin files say of themselves. None of their code runs.
//!
//! A file that is refused is part of the answer: it stands on the standard
//! output, below those that are accepted, with its reason.

use std::path::PathBuf;

use serde::Serialize;

use super::{Cell, Error, Global, Output, Table};

/// What can be asked of plugin files.
#[derive(Debug, clap::Subcommand)]
pub enum PluginsCommand {
    /// List what is in the plugin folders
    List,

    /// Show all that one file says of itself, with its settings
    Inspect {
        /// The plugin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What the plugin folders hold.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// Files that the host would open.
    pub plugins: Vec<PluginView>,
    /// Files that it would not.
    pub refused: Vec<RefusedView>,
}

/// What a file says of itself.
#[derive(Debug, Serialize)]
pub struct PluginView {
    /// Where it is.
    pub file: PathBuf,
    /// Its name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Who made it.
    pub vendor: String,
    /// What may be done with it.
    pub license: String,
    /// What it was built with: the interface.
    pub abi: String,
    /// What it was built with: the author's kit.
    pub api: String,
    /// What it was built with: the compiler.
    pub rustc: String,
    /// What it was built for.
    pub target: String,
    /// What it offers.
    pub exporters: Vec<ExporterView>,
    /// The file itself.
    #[serde(flatten)]
    pub facts: FactsView,
    /// Its settings, with an example each.
    pub example: String,
}

/// An exporter in a file.
#[derive(Debug, Serialize)]
pub struct ExporterView {
    /// Its name.
    pub name: String,
    /// `performance` or `alert`.
    pub kind: String,
    /// What it does.
    pub description: String,
    /// Whether two instances exclude each other.
    pub exclusive: bool,
}

/// A file, whatever it says of itself.
#[derive(Debug, Serialize)]
pub struct FactsView {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash, as it can be pinned.
    pub sha256: String,
    /// The newest version of the C library that it asks for.
    pub glibc: Option<String>,
    /// The libraries that it needs.
    pub needs: Vec<String>,
}

/// A file that the host would not open.
#[derive(Debug, Serialize)]
pub struct RefusedView {
    /// Where it is.
    pub file: PathBuf,
    /// Why, and what can be done.
    pub reason: String,
}

pub(super) fn run(
    _: &Global,
    command: &PluginsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        PluginsCommand::List => list(
            &Listing {
                plugins: Vec::new(),
                refused: Vec::new(),
            },
            output,
        ),
        PluginsCommand::Inspect { .. } => {
            Err(Error::Failed("`plugins` is not connected yet".into()))
        }
    }
}

fn list(listing: &Listing, output: &mut Output<'_>) -> Result<(), Error> {
    if output.json() {
        return output.value(listing);
    }
    let mut table = Table::new(&["exporter", "kind", "plugin", "version", "file"]);
    for plugin in &listing.plugins {
        for exporter in &plugin.exporters {
            table.row([
                Cell::text(&exporter.name),
                Cell::text(&exporter.kind),
                Cell::text(&plugin.plugin),
                Cell::text(&plugin.version),
                Cell::text(plugin.file.display().to_string()),
            ]);
        }
    }
    output.table(&table)
}
