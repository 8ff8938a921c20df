//! OidNames of object identifiers.

use std::collections::BTreeMap;

use async_snmp::Oid;

/// OidNames by object identifier, and the other way round.
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
        self.oids.insert(name.to_owned(), oid);
    }

    /// The object identifier of a name, or of its own text.
    ///
    /// # Errors
    ///
    /// The name is unknown: the reason, with the remedy.
    pub(super) fn oid(&self, name: &str) -> Result<Oid, String> {
        if let Some(oid) = self.oids.get(name) {
            return Ok(oid.clone());
        }
        parse_oid(name).ok_or_else(|| {
            format!("`{name}` is neither an object identifier nor in `[names]` (add it there)")
        })
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

    /// Adds names that are not known yet.
    pub(super) fn merge(&mut self, other: &Self) {
        for (oid, name) in &other.names {
            self.names
                .entry(oid.clone())
                .or_insert_with(|| name.clone());
        }
    }
}

pub(super) fn parse_oid(text: &str) -> Option<Oid> {
    let oid = Oid::parse(text.strip_prefix('.').unwrap_or(text)).ok()?;
    (oid.len() >= 2).then_some(oid)
}
