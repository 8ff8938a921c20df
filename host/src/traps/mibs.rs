//! Names of object identifiers from MIB files.
//!
//! Promises: a file that cannot be read, or has a mistake, is a warning. The names of the other files, and those
//! before and after the mistake, are there.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use async_snmp::Oid;
use mib_rs::{DiagCode, Diagnostic, DiagnosticEntry, Loader, Mib, Severity, source};

use super::names::OidNames;
use crate::{panics, regular_file};

/// The most bytes of a file, and of all files. While the host reads them, it needs fifteen to ninety times as much
/// memory.
const MAX_FILE_BYTES: u64 = 4 << 20;
const MAX_BYTES: u64 = 16 << 20;
/// The most files. A folder that is named by mistake is not read to its end.
const MAX_FILES: usize = 4_096;
/// The deepest nesting of braces in a file; MIBs have three or four. The library calls itself for each, and for each
/// step of a chain of types.
const MAX_DEPTH: usize = 1_000;
const STACK_BYTES: usize = 256 << 20;
/// The most warnings that are kept. A folder of vendors' MIBs can have thousands of mistakes.
const MAX_WARNINGS: usize = 20;
/// How files are named. A MIB is often named without an extension.
const EXTENSIONS: [&str; 5] = ["", "mib", "my", "smi", "txt"];

/// What MIB files say. Names are written as `IF-MIB::linkDown`.
#[derive(Debug, Default)]
pub(super) struct MibNames {
    pub(super) names: OidNames,
    /// File, line and reason of each mistake.
    pub(super) warnings: Vec<String>,
    /// How many warnings were left out.
    more: usize,
}

/// MIB files of folders, within the limits.
#[derive(Default)]
struct MibFiles {
    sources: Vec<Box<dyn source::Source>>,
    bytes: u64,
    count: usize,
}

impl MibNames {
    /// Reads the files of folders. Of several files with one module, the first one counts.
    ///
    /// A thread of its own does it, because the allocator gives such a thread memory of its own, and that
    /// returns to the system: nothing that stays lies in between.
    pub(super) fn read(folders: &[PathBuf]) -> Self {
        if folders.is_empty() {
            return Self::default();
        }
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let read = thread::scope(|scope| {
            let read = thread.spawn_scoped(scope, || Self::read_here(folders));
            read.map(|reading| reading.join().unwrap_or_default())
        });
        read.unwrap_or_else(|error| {
            let mut none = Self::default();
            none.warn(format!("MIB files cannot be used: {error}"));
            none
        })
    }

    fn read_here(folders: &[PathBuf]) -> Self {
        let mut found = Self::default();
        let mut files = MibFiles::default();
        for folder in folders {
            if let Err(error) = files.add_folder(folder, &mut found) {
                found.warn(format!("MIB files `{}`: {error}", folder.display()));
            }
        }
        if !files.sources.is_empty() {
            // The library reads files of any quality, but a panic of it must not end the host.
            match panics::catch(|| Loader::new().parallelism(1).sources(files.sources).load()) {
                Some(Ok(mib)) => found.take(&mib),
                Some(Err(error)) => found.warn(format!("MIB files cannot be used: {error}")),
                None => found.warn("MIB files cannot be used: the parser failed".to_owned()),
            }
        }
        if found.more > 0 {
            let more = format!("MIB files have {} more mistakes", found.more);
            found.warnings.push(more);
        }
        found
    }

    fn take(&mut self, mib: &Mib) {
        let user_modules = mib.modules().filter(|module| !module.is_base());
        let base_modules = mib.modules().filter(|module| module.is_base());
        for module in user_modules.chain(base_modules) {
            for node in module.nodes().filter(|node| !node.name().is_empty()) {
                let name = format!("{}::{}", module.name(), node.name());
                let oid = Oid::from_slice(node.oid());
                if module.is_base() {
                    // An unknown object below `enterprises` is better known by its number.
                    self.names.add_alias(name, oid);
                } else {
                    self.names.add(&name, oid);
                }
            }
        }
        let mut orphaned = HashSet::new();
        for mistake in mib.diagnostic_report().iter() {
            // The first one of a file is the reason for the others.
            let mut is_new = || orphaned.insert(file_of(mistake));
            if costs_names(mistake.diagnostic()) && (!is_orphan(mistake.diagnostic()) || is_new()) {
                self.warn(mistake_text(mistake));
            }
        }
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more += 1;
        }
    }
}

impl MibFiles {
    fn add_folder(&mut self, folder: &Path, found: &mut MibNames) -> io::Result<()> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)?.take(MAX_FILES) {
            let path = entry?.path();
            if is_mib(&path) {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            if let Err(error) = self.add(&path) {
                found.warn(format!("MIB file `{}`: {error}", path.display()));
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let bytes = regular_file::open(path)?.metadata()?.len();
        let too_large = |limit: &str| io::Error::other(format!("is not read: {limit}"));
        if bytes > MAX_FILE_BYTES {
            return Err(too_large("it is larger than 4 MiB"));
        }
        if self.bytes + bytes > MAX_BYTES || self.count == MAX_FILES {
            return Err(too_large("together, MIB files have more than 16 MiB"));
        }
        let source = source::file(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => io::Error::other("it has no MIB module"),
            _ => error,
        });
        let source = source?;
        if depth(&*source)? > MAX_DEPTH {
            return Err(too_large("its braces are nested too deeply"));
        }
        self.sources.push(source);
        self.bytes += bytes;
        self.count += 1;
        Ok(())
    }
}

/// How deep the braces of a file are nested. Each of its modules has the whole text.
fn depth(file: &dyn source::Source) -> io::Result<usize> {
    let modules = file.list_modules()?;
    let first = modules.first().map(|module| file.find(module));
    let Some(text) = first.transpose()?.flatten() else {
        return Ok(0);
    };
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    Ok(deepest)
}

fn is_mib(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_mib = EXTENSIONS.contains(&&*extension.to_lowercase());
    is_mib && !name.starts_with('.') && !path.is_dir()
}

/// Whether names are missing because of a mistake. Most MIBs of vendors have others, such as types of modules that are
/// not there.
fn costs_names(mistake: &Diagnostic) -> bool {
    let is_syntax = ["lexer", "parser"].contains(&mistake.code.phase());
    let is_error = mistake.severity.at_least(Severity::Error);
    (is_syntax && is_error) || is_orphan(mistake)
}

/// Whether an object is missing because its parent is.
fn is_orphan(mistake: &Diagnostic) -> bool {
    matches!(mistake.code, DiagCode::OidOrphan | DiagCode::OidRecursive)
}

fn file_of(mistake: DiagnosticEntry<'_>) -> Option<String> {
    let (source, _) = mistake.range().ok().flatten()?;
    Some(source.label().to_owned())
}

fn mistake_text(mistake: DiagnosticEntry<'_>) -> String {
    let reason = &mistake.diagnostic().message;
    let range = mistake.range().ok().flatten();
    let start = mistake.byte_positions().ok().flatten();
    match range.zip(start) {
        Some(((source, _), (start, _))) => format!(
            "MIB file `{}`, line {}: {reason}",
            source.label(),
            start.line() + 1
        ),
        None => format!("MIB files: {reason}"),
    }
}

#[cfg(test)]
mod tests;
