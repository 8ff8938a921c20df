//! Collections: pages of members, with or without their documents.
//!
//! Promises: a page is read once, so that a cycle of links ends; a member that is there and cannot
//! be read is still a member.

use std::{collections::HashSet, sync::Arc};

use delfin_plugin_api::log;
use serde_json::{Value, json};

use super::{AskError, CallBudget, RedfishClient, lock};
use crate::decode::{flag, last_segment, link, path_of, text};

/// The most members of a collection.
const MAX_MEMBERS: usize = 50_000;

/// The query that makes a collection contain the documents of its members; empty if the service
/// has none.
pub(super) type Expansion = &'static str;

/// A member of a collection.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) document: Arc<Value>,
}

impl RedfishClient {
    /// The members of a collection. Those that the caller knows are not asked for.
    pub(crate) fn members(
        &self,
        path: &str,
        known: &HashSet<String>,
        budget: &CallBudget<'_>,
    ) -> Result<Vec<Member>, AskError> {
        let expansion = self.expansion(budget)?;
        if !expansion.is_empty() {
            let separator = if path.contains('?') { '&' } else { '?' };
            let expanded = format!("{path}{separator}{expansion}");
            match self.pages(&expanded, known, budget) {
                Err(AskError::Broken(reason) | AskError::Absent(reason)) => {
                    log::debug!(reason; "the service does not expand a collection");
                }
                read => return read,
            }
        }
        self.pages(path, known, budget)
    }

    fn pages(
        &self,
        first: &str,
        known: &HashSet<String>,
        budget: &CallBudget<'_>,
    ) -> Result<Vec<Member>, AskError> {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        let mut pages = HashSet::new();
        let mut next = Some(first.to_owned());
        while let Some(path) = next.filter(|path| pages.insert(path.clone())) {
            let page = self.get(&path, budget)?;
            let Some(items) = page.get("Members").and_then(Value::as_array) else {
                return Err(AskError::Broken(format!("`{path}` has no `Members`")));
            };
            for item in items {
                let Some(path) = path_of(item).filter(|path| seen.insert(path.clone())) else {
                    continue;
                };
                if members.len() == MAX_MEMBERS {
                    return Err(AskError::Broken(format!(
                        "`{first}` has more than {MAX_MEMBERS} members"
                    )));
                }
                let is_document = item.get("Id").is_some() || item.get("Name").is_some();
                if is_document {
                    let document = Arc::new(item.clone());
                    members.push(Member { path, document });
                } else if !known.contains(&path) {
                    members.extend(self.member(path, budget)?);
                }
            }
            next = link_to_next(&page);
        }
        Ok(members)
    }

    /// A resource that something links to; `None` if the service does not have it.
    pub(crate) fn member(
        &self,
        path: String,
        budget: &CallBudget<'_>,
    ) -> Result<Option<Member>, AskError> {
        let document = match self.get(&path, budget) {
            Ok(document) => document,
            Err(AskError::Absent(_)) => return Ok(None),
            Err(AskError::Broken(reason)) => {
                log::warn!(reason; "a resource cannot be read: its status is unknown");
                Arc::new(json!({ "@odata.id": path, "Id": last_segment(&path) }))
            }
            Err(AskError::Call(failure)) => return Err(failure.into()),
        };
        Ok(Some(Member { path, document }))
    }

    /// What the service root says about expansion.
    fn expansion(&self, budget: &CallBudget<'_>) -> Result<Expansion, AskError> {
        let known = *lock(&self.expansion);
        if let Some(known) = known {
            return Ok(known);
        }
        let root = self.root(budget)?;
        let query = root.pointer("/ProtocolFeaturesSupported/ExpandQuery");
        let can = |what: &str| query.is_some_and(|query| flag(query, what) == Some(true));
        let expansion = match (can("/NoLinks"), can("/ExpandAll"), can("/Levels")) {
            (true, _, true) => "$expand=.($levels=1)",
            (true, _, false) => "$expand=.",
            (false, true, true) => "$expand=*($levels=1)",
            (false, true, false) | (false, false, _) => "",
        };
        *lock(&self.expansion) = Some(expansion);
        Ok(expansion)
    }
}

fn link_to_next(page: &Value) -> Option<String> {
    let next = ["/Members@odata.nextLink", "/@odata.nextLink"];
    next.iter().find_map(|pointer| {
        link(page, pointer).or_else(|| crate::decode::normal_path(text(page, pointer)?))
    })
}
