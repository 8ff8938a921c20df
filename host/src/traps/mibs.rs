//! Names of object identifiers from MIB files.
//!
//! `mib-rs` parses the files, one after another, and of each only names are kept. Its own resolver is not used: it keeps
//! all that the files say, and its time and memory grow with the square of a chain of objects.
//!
//! Promises: a file that cannot be read, or has a mistake, is a warning. The names of the other files, and those
//! before and after the mistake, are there.

mod files;
mod module;
mod resolver;
mod warnings;

use std::{path::PathBuf, thread};

use self::{
    files::ModuleReader, module::is_built_in, resolver::OidResolver, warnings::MibWarnings,
};
use super::names::OidNames;

/// What the parser needs for the deepest nesting that is read, several times over.
const STACK_BYTES: usize = 16 << 20;

/// What MIB files say. Names are written as `IF-MIB::linkDown`.
#[derive(Debug, Default)]
pub(super) struct MibNames {
    pub(super) names: OidNames,
    /// File, line and reason of each mistake.
    pub(super) warnings: Vec<String>,
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
        read.unwrap_or_else(|error| Self {
            names: OidNames::default(),
            warnings: vec![format!("MIB files cannot be used: {error}")],
        })
    }

    fn read_here(folders: &[PathBuf]) -> Self {
        let mut warnings = MibWarnings::default();
        let mut reader = ModuleReader::new(&mut warnings);
        for folder in folders {
            reader.read_folder(folder);
        }
        let mut modules = reader.finish();
        // Of two names for one object identifier, that of the newer language is shown.
        modules.sort_by_key(|module| !module.is_v2);
        let mut resolver = OidResolver::new(&modules);
        resolver.resolve_all(&mut warnings);
        resolver.report_missing_modules(&mut warnings);
        let mut names = OidNames::default();
        for (name, oid) in resolver.built_in() {
            names.add_alias(name.to_owned(), oid.clone());
        }
        for (module, object, oid) in resolver.into_oids() {
            let name = format!("{}::{}", module.name, object.name);
            if is_built_in(&module.name) {
                // An unknown object below `enterprises` is better known by its number.
                names.add_alias(name, oid);
            } else {
                names.add(&name, oid);
            }
        }
        Self {
            names,
            warnings: warnings.into_texts(),
        }
    }
}

#[cfg(test)]
mod tests;
