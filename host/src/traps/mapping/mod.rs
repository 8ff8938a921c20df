//! The mapping files of traps: which rule is for a notification.

mod field;
mod resolver;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use async_snmp::Oid;

use self::{field::TrapField, resolver::NameResolver};
use super::{mibs::MibNames, names::OidNames, notification::Notification};
use crate::notification::{
    MappingError, MappingFile, MappingFolder, MappingRule, RuleReader, Tables,
};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// The mapping files that are part of the program.
        const BUILT_IN: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!("../../../../etc/delfin/traps.d/", $name))),
        )*];
    };
}

built_in!(
    "dell-emc.toml",
    "fujitsu.toml",
    "hitachi.toml",
    "hpe.toml",
    "huawei.toml",
    "ibm.toml",
    "macrosan.toml",
    "netapp.toml",
    "pure.toml",
    "standard.toml",
);

/// The kind of the entries in a mapping file.
const KIND: &str = "trap";

/// What becomes of a trap.
pub type TrapRule = MappingRule<TrapField>;

/// The rules of all mapping files.
#[derive(Debug, Default)]
pub struct TrapMappings {
    exact: HashMap<Oid, Vec<TrapRule>>,
    /// The rules for all object identifiers below one, the most specific ones first.
    subtrees: Vec<(Oid, TrapRule)>,
    names: OidNames,
    files: usize,
    warnings: Vec<String>,
}

impl TrapMappings {
    /// Reads the built-in mappings and those of a folder, which need not exist. They can use the names of the MIB files
    /// in some folders.
    ///
    /// # Errors
    ///
    /// A mapping file cannot be read, or has a mistake.
    pub fn load(path: &Path, mib_dirs: &[PathBuf]) -> Result<Self, MappingError> {
        let mibs = MibNames::read(mib_dirs);
        let folder = MappingFolder {
            kind: KIND,
            built_in: BUILT_IN,
            path,
        };
        let mut mappings = Self {
            warnings: mibs.warnings,
            ..Self::default()
        };
        folder.read(|file, content| mappings.add(file, content, &mibs.names))?;
        mappings.names.merge(&mibs.names);
        mappings
            .subtrees
            .sort_by_key(|(oid, _)| std::cmp::Reverse(oid.len()));
        Ok(mappings)
    }

    /// The rules for the object identifier of a notification, in the order in which they are
    /// tried.
    pub fn rules(&self, notification: &Notification) -> impl Iterator<Item = &TrapRule> {
        let exact = self.exact.get(&notification.trap).into_iter().flatten();
        let below = self.subtrees.iter();
        let below = below.filter(|(oid, _)| notification.trap.starts_with(oid));
        exact.chain(below.map(|(_, rule)| rule))
    }

    /// The first rule that is for a notification.
    #[must_use]
    pub fn find(&self, notification: &Notification) -> Option<&TrapRule> {
        let mut rules = self.rules(notification);
        rules.find(|rule| rule.mismatch(notification).is_none())
    }

    /// What could not be used of MIB files, and what mapping files miss in them.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> &OidNames {
        &self.names
    }

    /// The number of files.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files
    }

    fn add(&mut self, file: &str, mut content: MappingFile, mibs: &OidNames) -> Result<(), String> {
        let resolver = NameResolver::new(&content.names, mibs)?;
        let reader = RuleReader {
            kind: KIND,
            file,
            tables: &Tables::new(std::mem::take(&mut content.tables)),
            field: &|name| TrapField::parse(name, &resolver),
        };
        for (number, entry) in (1..).zip(content.take_entries()) {
            let text = entry.oid.as_deref().unwrap_or_default();
            let (root, is_subtree) = match text.strip_suffix(".*") {
                Some(root) => (root, true),
                None => (text, false),
            };
            let oid = if entry.oid.is_some() {
                resolver.oid(root)
            } else {
                Err("is missing (write the object identifier of the trap)".to_owned())
            };
            let oid = oid.map_err(|reason| reader.mistake(number, "oid", &reason))?;
            let rule = reader.read(number, entry)?;
            let Some(oid) = oid else { continue };
            if is_subtree {
                self.subtrees.push((oid, rule));
            } else {
                self.exact.entry(oid).or_default().push(rule);
            }
        }
        self.names.merge(&resolver.names);
        let unknown = resolver.into_unknown().map(|name| {
            format!(
                "{KIND} mappings `{file}`: `{name}` is in no MIB file (add the file to a folder of `traps.mib_dirs`)"
            )
        });
        self.warnings.extend(unknown);
        self.files += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
