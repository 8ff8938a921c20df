//! Names of object identifiers.

use std::collections::BTreeMap;

use async_snmp::Oid;

/// Names by object identifier, and the other way round.
#[derive(Clone, Debug, Default)]
pub struct OidNames {
    oids: BTreeMap<String, Oid>,
    names: BTreeMap<Oid, String>,
}

impl OidNames {
    pub(super) fn add(&mut self, name: &str, oid: Oid) {
        self.names
            .entry(oid.clone())
            .or_insert_with(|| name.to_owned());
        self.add_alias(name.to_owned(), oid);
    }

    /// Adds a name that is understood, and not shown.
    pub(super) fn add_alias(&mut self, name: String, oid: Oid) {
        self.oids.insert(name, oid);
    }

    /// The number of names that are shown.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The object identifier of a name.
    pub(super) fn oid(&self, name: &str) -> Option<&Oid> {
        self.oids.get(name)
    }

    /// The name of an object identifier, with the numbers that follow the longest known one.
    #[must_use]
    pub fn name(&self, oid: &Oid) -> Option<String> {
        let mut known = oid.clone();
        loop {
            if let Some(name) = self.names.get(&known) {
                let rest = oid.strip_prefix(&known).filter(|rest| !rest.is_empty());
                return Some(match rest {
                    Some(rest) => format!("{name}.{rest}"),
                    None => name.clone(),
                });
            }
            known = known.parent()?;
        }
    }

    /// Adds names that are not known yet, to be shown.
    pub(super) fn merge(&mut self, other: &Self) {
        for (oid, name) in &other.names {
            self.names
                .entry(oid.clone())
                .or_insert_with(|| name.clone());
        }
    }
}
