//! `plugins`: what plugin files say of themselves. None of their code runs.
//!
//! A file that is refused is part of the list, below those that are taken: it
//! is what was asked for, not a failure of the command.

use std::path::{Path, PathBuf};

use delfin_plugin_loader::{ManifestExporter, inspect};

use self::view::objection;
use super::{Cell, Error, Global, Output, Table, grouped, settings, table::printable};

mod view;

pub use view::{Listing, PluginView};

/// What can be asked of plugin files.
#[derive(Debug, clap::Subcommand)]
pub enum PluginsCommand {
    /// List what is in the plugin folders, and which files are refused
    List,

    /// Show all that one file says of itself, with its settings
    Inspect {
        /// The plugin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(
    global: &Global,
    command: &PluginsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        PluginsCommand::List => list(&settings::plugin_dirs(global)?, output),
        PluginsCommand::Inspect { file } => show(file, output),
    }
}

fn list(folders: &[PathBuf], output: &mut Output<'_>) -> Result<(), Error> {
    let listing = Listing::of(folders);
    if output.json() {
        return output.value(&listing);
    }
    if !listing.plugins.is_empty() {
        output.table(&listing.table())?;
        output.line("")?;
    }
    output.text(&listing.remarks())?;
    output.line(&listing.sum())
}

/// Prints what can be read, and fails where the host would refuse the file.
fn show(file: &Path, output: &mut Output<'_>) -> Result<(), Error> {
    let plugin = inspect(file)?;
    let view = PluginView::from(&plugin);
    if output.json() {
        output.value(&view)?;
    } else {
        output.line(&view.facts())?;
        output.table(&view.table())?;
        if !view.manifest.example.is_empty() {
            output.line(&format!("\nexample.toml:\n\n{}", view.manifest.example))?;
        }
    }
    Ok(objection(&plugin)?)
}

impl Listing {
    fn table(&self) -> Table {
        let mut table = Table::new(&["exporter", "kind", "plugin", "version", "file"]);
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
        table
    }

    /// What stands between the table and the sum.
    fn remarks(&self) -> String {
        let refused = self.refused.iter().map(|refused| refused.reason.as_str());
        let duplicates = self.duplicates.iter().map(String::as_str);
        paragraph("offered more than once:", duplicates) + &paragraph("refused:", refused)
    }

    /// `3 exporters in 2 plugins, 1 refused`
    fn sum(&self) -> String {
        let exporters: usize = self
            .plugins
            .iter()
            .map(|p| p.manifest.exporters.len())
            .sum();
        let (exporters, plugins) = (
            counted(exporters, "exporter"),
            counted(self.plugins.len(), "plugin"),
        );
        match self.refused.len() {
            0 => format!("{exporters} in {plugins}"),
            refused => format!("{exporters} in {plugins}, {refused} refused"),
        }
    }
}

impl PluginView {
    fn facts(&self) -> String {
        let (manifest, image) = (&self.manifest, &self.image);
        let glibc = image
            .glibc
            .as_ref()
            .map(|version| format!("glibc {version}"));
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
            ("interface", manifest.abi.clone()),
            ("kit", manifest.api.clone()),
            ("compiler", manifest.rustc.clone()),
            ("target", manifest.target.clone()),
            ("panic", manifest.panic.clone()),
            ("needs", needs.join(", ")),
            ("missing", image.missing.join(", ")),
            ("only beside it", image.beside.join(", ")),
            (
                "static TLS",
                if image.static_tls { "yes" } else { "" }.to_owned(),
            ),
        ];
        let facts = facts.iter().filter(|(_, fact)| !fact.is_empty());
        let lines = facts.map(|(name, fact)| format!("{name:<14}   {}\n", printable(fact)));
        lines.chain(["\n".to_owned()]).collect()
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["exporter", "kind", "instances", "resend", "description"]);
        for exporter in &self.manifest.exporters {
            table.row([
                Cell::text(&exporter.name),
                kind(exporter),
                Cell::text(if exporter.exclusive { "one" } else { "several" }),
                resend(exporter),
                Cell::text(&exporter.description),
            ]);
        }
        table
    }
}

fn kind(exporter: &ManifestExporter) -> Cell {
    match exporter.kind.as_str() {
        "performance" | "alert" => Cell::text(&exporter.kind),
        newer => Cell::text(format!("{newer} (needs a newer host)")),
    }
}

/// As it would be written in the configuration.
fn resend(exporter: &ManifestExporter) -> Cell {
    exporter
        .resend_seconds
        .map_or_else(Cell::none, |seconds| Cell::text(format!("{seconds}s")))
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

fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests;
