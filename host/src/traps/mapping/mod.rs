//! Mapping files: from a trap to an alert, in the words of its vendor's MIB.
//!
//! The host has mappings for common traps built in. A folder can have more: a file with the
//! name of a built-in one replaces it.
//!
//! Promises: files with a mistake give no mappings at all, and the error names the file, the
//! key and the remedy.

mod file;
mod names;
mod rule;
mod template;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_snmp::Oid;

use self::file::MappingFile;
pub use self::{names::OidNames, rule::TrapRule};
use super::notification::Notification;
use crate::{config::TrapsConfig, regular_file};

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

/// The most bytes of a mapping file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why mapping files cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trap mappings `{file}`: {reason}")]
pub struct MappingError {
    pub file: String,
    pub reason: String,
}

/// The rules of all mapping files.
#[derive(Debug, Default)]
pub struct Mappings {
    exact: HashMap<Oid, Vec<Arc<TrapRule>>>,
    /// The most specific ones first.
    subtrees: Vec<Arc<TrapRule>>,
    names: OidNames,
    files: usize,
}

/// The mappings in force. Clones share them.
#[derive(Clone, Debug)]
pub struct MappingSet(Arc<RwLock<Arc<Mappings>>>);

impl Mappings {
    /// The mappings of a host. One that receives no notifications needs none, and looks at no
    /// files.
    ///
    /// # Errors
    ///
    /// See [`Mappings::load`].
    pub fn of(config: &TrapsConfig) -> Result<Self, MappingError> {
        match config.listen {
            Some(_) => Self::load(&config.mapping_dir),
            None => Ok(Self::default()),
        }
    }

    /// Reads the built-in mappings and those of a folder, which need not exist.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn load(folder: &Path) -> Result<Self, MappingError> {
        let mut texts: BTreeMap<String, String> = BUILT_IN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let mut own = BTreeMap::new();
        for path in files_of(folder).map_err(|error| MappingError::of(folder, &error))? {
            let text = read(&path).map_err(|error| MappingError::of(&path, &error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            texts.remove(&*name);
            own.insert(path.display().to_string(), text);
        }
        // Rules of the folder come before built-in ones for the same trap.
        let built_in = texts
            .into_iter()
            .map(|(name, text)| (format!("built-in {name}"), text));
        let mut mappings = Self::default();
        for (file, text) in own.into_iter().chain(built_in) {
            mappings
                .add(&file, &text)
                .map_err(|reason| MappingError { file, reason })?;
        }
        mappings
            .subtrees
            .sort_by_key(|rule| std::cmp::Reverse(rule.oid.len()));
        Ok(mappings)
    }

    /// The rules for the object identifier of a notification, in the order in which they are
    /// tried.
    pub fn rules(&self, notification: &Notification) -> impl Iterator<Item = &Arc<TrapRule>> {
        let exact = self.exact.get(&notification.trap).into_iter().flatten();
        let below = self.subtrees.iter();
        exact.chain(below.filter(|rule| notification.trap.starts_with(&rule.oid)))
    }

    /// The first rule that is for a notification.
    #[must_use]
    pub fn find(&self, notification: &Notification) -> Option<&Arc<TrapRule>> {
        let mut rules = self.rules(notification);
        rules.find(|rule| rule.mismatch(notification).is_none())
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

    fn add(&mut self, file: &str, text: &str) -> Result<(), String> {
        let content: MappingFile = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        let (rules, names) = TrapRule::read(file, content)?;
        self.names.merge(&names);
        self.files += 1;
        for rule in rules {
            let rule = Arc::new(rule);
            if rule.subtree {
                self.subtrees.push(rule);
            } else {
                self.exact.entry(rule.oid.clone()).or_default().push(rule);
            }
        }
        Ok(())
    }
}

impl MappingSet {
    #[must_use]
    pub fn new(mappings: Mappings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(mappings))))
    }

    #[must_use]
    pub fn get(&self) -> Arc<Mappings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the mappings, effective with the next notification.
    pub fn replace(&self, mappings: Mappings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(mappings);
    }
}

impl MappingError {
    fn of(path: &Path, error: &io::Error) -> Self {
        Self {
            file: path.display().to_string(),
            reason: format!("cannot be read: {error} (check its owner and its mode)"),
        }
    }
}

/// The mapping files of a folder, by name.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> io::Result<String> {
    let file = regular_file::open(path)?;
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    io::read_to_string(file)
}

fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        let before = text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    format!(
        "line {line}: {} (see \"Mapping files\" in the operator guide)",
        error.message()
    )
}

#[cfg(test)]
mod tests;
