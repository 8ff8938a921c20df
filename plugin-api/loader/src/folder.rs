//! Reads a plugin that is a folder: the manifest `plugin.toml`, and the command that it names.
//!
//! Promises: nothing in the folder is run. The hash is that of the list that
//! `find . -type f | LC_ALL=C sort | xargs sha256sum` prints in the folder.

mod tree;

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Reason,
    image::Image,
    inspect::Inspection,
    manifest::{Manifest, ManifestDriver, ManifestExporter},
    platform::is_executable,
    sha256::Sha256,
    trust::{self, UntrustedFile},
};
use tree::Tree;

/// The ending of the name of a plugin folder.
pub(crate) const EXTENSION: &str = "plugin";

/// The file with the manifest.
const MANIFEST: &str = "plugin.toml";

/// The file that explains the settings.
const EXAMPLE: &str = "example.toml";

/// What the list of plugins shows in place of an interface version.
const INTERFACE: &str = "protocol";

/// The command of a plugin that is a folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct PluginCommand {
    /// The program and its arguments. A program without a `/` is looked up in `PATH`, and
    /// any other path is relative to the folder.
    pub words: Vec<String>,
    /// How the program speaks with the host.
    pub transport: ProgramTransport,
}

/// How a program speaks with the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramTransport {
    /// Over the socket that is its standard input.
    #[default]
    Socket,
    /// Over standard input and standard output.
    Stdio,
}

/// A command that was checked: its folder and its program are trusted.
#[derive(Debug, Clone)]
pub struct PreparedCommand {
    folder: PathBuf,
    sha256: Sha256,
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// The words of the command.
    pub command: PluginCommand,
}

/// The manifest as it is written. Unknown keys are collected and otherwise ignored, so that the
/// manifest of a newer plugin can be read.
#[derive(Deserialize)]
struct FolderManifest {
    name: String,
    version: String,
    #[serde(default)]
    vendor: String,
    #[serde(default)]
    license: String,
    command: Vec<String>,
    #[serde(default)]
    transport: ProgramTransport,
    #[serde(default)]
    exporters: Vec<ManifestExporter>,
    #[serde(default)]
    drivers: Vec<ManifestDriver>,
}

/// Reads the folder of a plugin.
pub(crate) fn inspect(folder: &Path) -> Result<Inspection, Reason> {
    let manifest = read_manifest(folder)?;
    let tree = Tree::read(folder)?;
    let trust = trust(folder, &tree, &manifest);
    Ok(Inspection {
        path: folder.to_owned(),
        sha256: tree.sha256,
        size: tree.size,
        manifest,
        image: Image::default(),
        trust,
    })
}

/// Checks that a folder is trusted, is as it was inspected, and has the pinned hash.
pub(crate) fn prepare(
    plugin: &Inspection,
    command: &PluginCommand,
    pinned: Option<Sha256>,
) -> Result<PreparedCommand, Reason> {
    let found = inspect(&plugin.path)?;
    found.trust.map_err(Reason::Untrusted)?;
    match pinned {
        Some(pinned) if pinned != found.sha256 => {
            let found = found.sha256;
            return Err(Reason::OtherSha256 { found, pinned });
        }
        Some(_) | None => {}
    }
    if found.sha256 != plugin.sha256 {
        return Err(Reason::Changed);
    }
    Ok(PreparedCommand {
        folder: in_full(&plugin.path)?,
        sha256: found.sha256,
        program: program(&plugin.path, command)?,
        command: command.clone(),
    })
}

impl PreparedCommand {
    /// The folder, as an absolute path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks that the folder is as it was when the command was prepared.
    ///
    /// # Errors
    ///
    /// It has changed, or cannot be read.
    pub fn check_unchanged(&self) -> Result<(), Reason> {
        let tree = Tree::read(&self.folder)?;
        if tree.sha256 == self.sha256 && tree.writable.is_empty() {
            Ok(())
        } else {
            Err(Reason::Changed)
        }
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, Reason> {
    let path = folder.join(MANIFEST);
    if !path.exists() {
        return Err(Reason::NoManifestFile);
    }
    let text = read_text(&path)?;
    let malformed = |error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.unwrap_or_default().matches('\n').count() + 1;
        Reason::MalformedManifestFile {
            error: format!("line {line}: {}", error.message().replace('\n', " ")),
        }
    };
    let mut unknown_keys = Vec::new();
    let document = toml::Deserializer::parse(&text).map_err(malformed)?;
    let written: FolderManifest = serde_ignored::deserialize(document, |path| {
        unknown_keys.push(line(&path.to_string()));
    })
    .map_err(malformed)?;
    let example = folder.join(EXAMPLE);
    let example = match example.exists() {
        true => read_text(&example)?,
        false => String::new(),
    };
    Ok(Manifest {
        abi: INTERFACE.to_owned(),
        plugin: line(&written.name),
        version: line(&written.version),
        vendor: line(&written.vendor),
        license: line(&written.license),
        exporters: written.exporters,
        drivers: written.drivers,
        example,
        unknown_keys,
        command: Some(PluginCommand {
            words: written.command.iter().map(|word| line(word)).collect(),
            transport: written.transport,
        }),
        ..Manifest::default()
    })
}

/// As in the manifest of a library: control characters could change what a terminal shows.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn read_text(path: &Path) -> Result<String, Reason> {
    fs::read_to_string(path).map_err(|error| Reason::Unreadable {
        error: format!("`{}`: {error}", path.display()),
    })
}

/// The folder of the folder, everything in it, and the program.
fn trust(folder: &Path, tree: &Tree, manifest: &Manifest) -> Result<(), UntrustedFile> {
    let own = folder.metadata().map_err(trust::unknown)?;
    trust::check_tree(folder, &own, &tree.writable)?;
    let Some(command) = &manifest.command else {
        return Ok(());
    };
    // A program that does not exist is an error of `check`.
    let Ok(program) = program(folder, command) else {
        return Ok(());
    };
    trust::check_program(&program)
}

/// The path of the program.
pub(crate) fn program(folder: &Path, command: &PluginCommand) -> Result<PathBuf, Reason> {
    let Some(word) = command.words.first().filter(|word| !word.is_empty()) else {
        return Err(Reason::MalformedManifestFile {
            error: "`command` is empty".to_owned(),
        });
    };
    let path = match word.contains('/') {
        true => Some(in_full(folder)?.join(word)),
        false => {
            let folders = env::var_os("PATH").unwrap_or_default();
            let mut candidates = env::split_paths(&folders).map(|folder| folder.join(word));
            candidates.find(|path| is_program(path))
        }
    };
    path.filter(|path| is_program(path))
        .ok_or_else(|| Reason::NoProgram {
            program: word.clone(),
        })
}

fn is_program(path: &Path) -> bool {
    path.is_file() && is_executable(path)
}

fn in_full(folder: &Path) -> Result<PathBuf, Reason> {
    absolute(folder).map_err(|error| Reason::Unreadable {
        error: error.to_string(),
    })
}
