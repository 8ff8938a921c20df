//! What the names of object identifiers in a mapping file mean.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use async_snmp::Oid;

use crate::traps::names::OidNames;

/// The name of the object identifier of the notification.
pub(super) const TRAP: &str = "trap";
/// What is between the module and the name in a name of a MIB.
const MODULE_END: &str = "::";

/// What the names in one mapping file mean.
pub(super) struct NameResolver<'a> {
    /// Names of the file.
    pub(super) names: OidNames,
    /// Names of the file that mean a name of a MIB that no file has.
    without_oid: BTreeSet<String>,
    /// Names of MIB files.
    mibs: &'a OidNames,
    /// Names of MIBs that no file has.
    unknown: RefCell<BTreeSet<String>>,
}

impl<'a> NameResolver<'a> {
    /// `names` are those of the file, with their object identifiers or names of MIBs.
    ///
    /// # Errors
    ///
    /// A name means nothing: its key and the reason, with the remedy.
    pub(super) fn new(
        names: &BTreeMap<String, String>,
        mibs: &'a OidNames,
    ) -> Result<Self, String> {
        let mut resolver = Self {
            names: OidNames::default(),
            without_oid: BTreeSet::new(),
            mibs,
            unknown: RefCell::default(),
        };
        for (name, text) in names {
            let at = |reason: String| format!("`names.{name}`: {reason}");
            if name.is_empty() || name == TRAP || name.contains(MODULE_END) {
                let reason = format!(
                    "cannot be used as a name: it is empty, `{TRAP}`, or has `{MODULE_END}` (choose another one)"
                );
                return Err(at(reason));
            }
            let oid = match is_mib_name(text) {
                true => resolver.mib_oid(text).map_err(at)?,
                false => Some(parse_oid(text).ok_or_else(|| {
                    at(format!(
                        "`{text}` is not an object identifier (write it as `1.3.6.1` or `IF-MIB::ifIndex`)"
                    ))
                })?),
            };
            match oid {
                Some(oid) => resolver.names.add(name, oid),
                None => drop(resolver.without_oid.insert(name.clone())),
            }
        }
        Ok(resolver)
    }

    /// The object identifier of a name, or of its own text. `None` if it is a name of a MIB that no file has: then the
    /// MIB file is missing or has a mistake, which must not keep the other mappings from being used.
    ///
    /// # Errors
    ///
    /// The name is unknown: the reason, with the remedy.
    pub(super) fn oid(&self, name: &str) -> Result<Option<Oid>, String> {
        if is_mib_name(name) {
            return self.mib_oid(name);
        }
        if self.without_oid.contains(name) {
            return Ok(None);
        }
        let own = self.names.oid(name).cloned();
        own.or_else(|| parse_oid(name)).map(Some).ok_or_else(|| {
            format!("`{name}` is neither an object identifier nor in `[names]` (add it there)")
        })
    }

    /// The names of MIBs that no file has.
    pub(super) fn into_unknown(self) -> impl Iterator<Item = String> {
        self.unknown.into_inner().into_iter()
    }

    /// The object identifier of a name of a MIB, which numbers can follow, as in `IF-MIB::ifIndex.7`.
    fn mib_oid(&self, text: &str) -> Result<Option<Oid>, String> {
        let (name, numbers) = split_mib_name(text).ok_or_else(|| {
            format!(
                "`{text}` is not a name of a MIB (write it as `IF-MIB::ifIndex` or `IF-MIB::ifIndex.7`)"
            )
        })?;
        let Some(oid) = self.mibs.oid(name) else {
            self.unknown.borrow_mut().insert(text.to_owned());
            return Ok(None);
        };
        let numbers = oid.arcs().iter().copied().chain(numbers);
        Ok(Some(Oid::new(numbers)))
    }
}

fn is_mib_name(text: &str) -> bool {
    text.contains(MODULE_END)
}

/// Module and object, and the numbers that follow.
fn split_mib_name(text: &str) -> Option<(&str, Vec<u32>)> {
    let (name, numbers) = match text.split_once('.') {
        Some((name, rest)) => {
            let numbers = rest.split('.').map(|number| number.parse().ok());
            (name, numbers.collect::<Option<Vec<u32>>>()?)
        }
        None => (text, Vec::new()),
    };
    let (module, object) = name.split_once(MODULE_END)?;
    let is_name = |text: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_part)
    };
    (is_name(module) && is_name(object)).then_some((name, numbers))
}

fn parse_oid(text: &str) -> Option<Oid> {
    let oid = Oid::parse(text.strip_prefix('.').unwrap_or(text)).ok()?;
    (oid.len() >= 2).then_some(oid)
}
