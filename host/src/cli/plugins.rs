//! `plugins`: shows what plugin files declare, without running their code.
//!
//! Refused files are part of the list, below the accepted ones. They are no failure
//! of the command.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use delfin_plugin_loader::{FileHashes, ManifestExporter, accept, inspect};

use self::view::{PluginFileView, PluginListing};
use super::{
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted, grouped, printable},
};
use crate::config::{self, PluginFolders};

mod view;

#[derive(Debug, clap::Subcommand)]
pub enum PluginsCommand {
    /// List the exporters in the plugin folders, and the refused files
    List,

    /// Show what one file declares: exporters, settings, requirements
    Inspect {
        /// Plugin file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &PluginsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        PluginsCommand::List => {
            let folders = config::load_plugin_folders(options.config.as_deref());
            list(&folders.map_err(Error::configuration)?, output)
        }
        PluginsCommand::Inspect { file } => show(file, output),
    }
}

fn list(folders: &PluginFolders, output: &mut Output<'_>) -> Result<(), Error> {
    // What the host remembers of files that it has read need not be read again.
    let hashes = FileHashes::in_cache(&folders.plugin_cache_dir);
    let listing = PluginListing::of(&folders.plugin_dirs, &hashes);
    if output.is_json() {
        return output.json(&listing);
    }
    for table in [listing.exporters(), listing.drivers()]
        .into_iter()
        .flatten()
    {
        output.table(&table)?;
        output.line("")?;
    }
    output.text(&listing.remarks())?;
    output.line(&listing.summary())
}

/// Prints the file, and fails if the host would refuse it.
fn show(file: &Path, output: &mut Output<'_>) -> Result<(), Error> {
    let plugin = inspect(file)?;
    let view = PluginFileView::from(&plugin);
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(&view.facts())?;
        for table in [view.exporters(), view.drivers()].into_iter().flatten() {
            output.table(&table)?;
        }
        if !view.manifest.example.is_empty() {
            output.line(&format!("\nexample.toml:\n\n{}", view.manifest.example))?;
        }
    }
    Ok(accept(&plugin)?)
}

impl PluginListing {
    fn exporters(&self) -> Option<TextTable> {
        let mut table = TextTable::new(&["exporter", "kind", "plugin", "version", "file"]);
        self.has_exporters().then_some(())?;
        for plugin in &self.plugins {
            for exporter in &plugin.manifest.exporters {
                table.row([
                    Cell::text(&exporter.name),
                    kind(exporter),
                    Cell::text(&plugin.manifest.plugin),
                    Cell::text(&plugin.manifest.version),
                    Cell::text(plugin.file.display().to_string()),
                ]);
            }
        }
        Some(table)
    }

    fn drivers(&self) -> Option<TextTable> {
        let columns = ["vendor", "model", "driver of", "plugin", "version", "file"];
        let mut table = TextTable::new(&columns);
        self.has_drivers().then_some(())?;
        for plugin in &self.plugins {
            for driver in &plugin.manifest.drivers {
                table.row([
                    Cell::text(&driver.vendor),
                    Cell::text(&driver.model),
                    Cell::text(&driver.title),
                    Cell::text(&plugin.manifest.plugin),
                    Cell::text(&plugin.manifest.version),
                    Cell::text(plugin.file.display().to_string()),
                ]);
            }
        }
        Some(table)
    }

    fn has_exporters(&self) -> bool {
        let mut plugins = self.plugins.iter();
        plugins.any(|plugin| !plugin.manifest.exporters.is_empty())
    }

    fn has_drivers(&self) -> bool {
        let mut plugins = self.plugins.iter();
        plugins.any(|plugin| !plugin.manifest.drivers.is_empty())
    }

    /// The paragraphs between the table and the summary.
    fn remarks(&self) -> String {
        let refused = self.refused.iter().map(|refused| refused.reason.as_str());
        let duplicates = self.duplicates.iter().map(String::as_str);
        let unknown = self.unknown_keys.iter().map(String::as_str);
        paragraph("offered by several files:", duplicates)
            + &paragraph("not understood:", unknown)
            + &paragraph("refused:", refused)
    }

    /// `3 exporters and 1 driver in 2 plugins, 1 refused`
    fn summary(&self) -> String {
        let manifests = || self.plugins.iter().map(|plugin| &plugin.manifest);
        let exporters: usize = manifests().map(|m| m.exporters.len()).sum();
        let drivers: usize = manifests().map(|m| m.drivers.len()).sum();
        let plugins = counted(self.plugins.len() as u64, "plugin");
        let mut exporters = counted(exporters as u64, "exporter");
        if drivers > 0 {
            exporters = format!("{exporters} and {}", counted(drivers as u64, "driver"));
        }
        match self.refused.len() {
            0 => format!("{exporters} in {plugins}"),
            refused => format!("{exporters} in {plugins}, {refused} refused"),
        }
    }
}

impl PluginFileView {
    fn facts(&self) -> String {
        let (manifest, image) = (&self.manifest, &self.image);
        let glibc = image
            .glibc
            .as_ref()
            .map(|version| format!("glibc {version}"));
        let command = manifest.command.as_ref();
        let command = command.map_or_else(String::new, |command| command.words.join(" "));
        let needs: Vec<String> = glibc
            .into_iter()
            .chain(image.needed.iter().cloned())
            .collect();
        let facts = [
            ("file", self.file.display().to_string()),
            ("size", format!("{} bytes", grouped(self.size))),
            ("sha256", self.sha256.clone()),
            (
                "plugin",
                format!("{} {}", manifest.plugin, manifest.version),
            ),
            ("vendor", manifest.vendor.clone()),
            ("license", manifest.license.clone()),
            ("command", command),
            ("interface", manifest.abi.clone()),
            ("plugin-api", manifest.api.clone()),
            ("compiler", manifest.rustc.clone()),
            ("target", manifest.target.clone()),
            ("panic", manifest.panic.clone()),
            ("needs", needs.join(", ")),
            ("unknown keys", manifest.unknown_keys.join(", ")),
            ("missing", image.missing.join(", ")),
            ("only in folder", image.only_by_origin.join(", ")),
            (
                "static TLS",
                if image.static_tls { "yes" } else { "" }.to_owned(),
            ),
        ];
        let facts = facts.iter().filter(|(_, fact)| !fact.is_empty());
        let lines = facts.map(|(name, fact)| format!("{name:<14}   {}\n", printable(fact)));
        lines.chain(["\n".to_owned()]).collect()
    }

    fn exporters(&self) -> Option<TextTable> {
        let mut table = TextTable::new(&["exporter", "kind", "instances", "resend", "description"]);
        (!self.manifest.exporters.is_empty()).then_some(())?;
        for exporter in &self.manifest.exporters {
            table.row([
                Cell::text(&exporter.name),
                kind(exporter),
                Cell::text(if exporter.exclusive { "one" } else { "several" }),
                seconds(exporter.resend_seconds),
                Cell::text(&exporter.description),
            ]);
        }
        Some(table)
    }

    fn drivers(&self) -> Option<TextTable> {
        let columns = [
            "vendor",
            "model",
            "driver of",
            "access",
            "interval",
            "longest call",
        ];
        let mut table = TextTable::new(&columns);
        (!self.manifest.drivers.is_empty()).then_some(())?;
        for driver in &self.manifest.drivers {
            table.row([
                Cell::text(&driver.vendor),
                Cell::text(&driver.model),
                Cell::text(&driver.title),
                Cell::text(driver.access.join(", ")),
                seconds(driver.interval_seconds),
                seconds(Some(driver.timeout_seconds)),
            ]);
        }
        Some(table)
    }
}

fn kind(exporter: &ManifestExporter) -> Cell {
    match exporter.kind.as_str() {
        "performance" | "alert" => Cell::text(&exporter.kind),
        newer => Cell::text(format!("{newer} (needs a newer host)")),
    }
}

/// In the form of the configuration.
fn seconds(time: Option<NonZeroU64>) -> Cell {
    time.map_or_else(Cell::none, |seconds| Cell::text(format!("{seconds}s")))
}

fn paragraph<'a>(title: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let lines: String = lines
        .map(|line| format!("  {}\n", printable(line)))
        .collect();
    match lines.as_str() {
        "" => lines,
        lines => format!("{title}\n{lines}\n"),
    }
}

#[cfg(test)]
mod tests;
