//! What the names of object identifiers in a mapping file mean.

use std::{cell::RefCell, collections::BTreeSet};

use async_snmp::Oid;

use crate::traps::names::OidNames;

/// What is between the module and the name in a name of a MIB.
const MODULE_END: &str = "::";

/// What the names in one mapping file mean.
pub(super) struct NameResolver<'a> {
    /// Names of the file.
    pub(super) names: &'a OidNames,
    /// Names of MIB files.
    pub(super) mibs: &'a OidNames,
    /// Names of MIBs that no file has.
    pub(super) unknown: RefCell<BTreeSet<String>>,
}

impl NameResolver<'_> {
    /// The object identifier of a name, or of its own text. `None` if it is a name of a MIB that no file has: then the
    /// MIB file is missing or has a mistake, which must not keep the other mappings from being used.
    ///
    /// # Errors
    ///
    /// The name is unknown: the reason, with the remedy.
    pub(super) fn oid(&self, name: &str) -> Result<Option<Oid>, String> {
        if name.contains(MODULE_END) {
            let oid = self.mib_oid(name);
            if oid.is_none() {
                self.unknown.borrow_mut().insert(name.to_owned());
            }
            return Ok(oid);
        }
        let own = self.names.oid(name).cloned();
        own.or_else(|| parse_oid(name)).map(Some).ok_or_else(|| {
            format!("`{name}` is neither an object identifier nor in `[names]` (add it there)")
        })
    }

    /// The object identifier of a name of a MIB, which numbers can follow, as in `IF-MIB::ifIndex.7`.
    fn mib_oid(&self, name: &str) -> Option<Oid> {
        let (name, rest) = name.split_once('.').unwrap_or((name, ""));
        let mut oid = self.mibs.oid(name)?.clone();
        for number in rest.split('.').filter(|number| !number.is_empty()) {
            oid = oid.child(number.parse().ok()?);
        }
        Some(oid)
    }
}

pub(super) fn parse_oid(text: &str) -> Option<Oid> {
    let oid = Oid::parse(text.strip_prefix('.').unwrap_or(text)).ok()?;
    (oid.len() >= 2).then_some(oid)
}
