//! Collections: pages of members, with or without their documents.
//!
//! Promises: a page is read once, so that a cycle of links ends; a member that is there and cannot
//! be read is still a member, and says why.

use std::{collections::HashSet, sync::Arc};

use delfin_plugin_api::{Failure, log};
use serde_json::{Value, json};

use super::{AskError, CallBudget, RedfishClient, lock};
use crate::decode::{flag, last_segment, link, normal_path, path_of, text, whole};

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
    /// Why the document cannot be read; it then has the path and the id only.
    pub(crate) fault: Option<String>,
}

impl Member {
    pub(crate) fn new(path: String, document: Arc<Value>) -> Self {
        Self {
            path,
            document,
            fault: None,
        }
    }
}

/// Every member, with its document; none if the service does not have the collection. One that
/// cannot be read is an error: its absence would mean something else.
pub(crate) fn complete(read: Result<Vec<Member>, AskError>) -> Result<Vec<Member>, Failure> {
    let members = match read {
        Ok(members) => members,
        Err(AskError::Absent(reason)) => {
            log::debug!(reason; "the service does not show a resource that it links to");
            Vec::new()
        }
        Err(AskError::Broken(reason)) => return Err(Failure::rejected(reason)),
        Err(AskError::Call(failure)) => return Err(failure),
    };
    match members.iter().find_map(|member| member.fault.as_ref()) {
        Some(reason) => Err(Failure::rejected(reason)),
        None => Ok(members),
    }
}

/// The newest members of a collection that is in the order of time, whichever that is.
pub(crate) struct NewestMembers<'a> {
    pub(crate) path: &'a str,
    pub(crate) limit: usize,
    /// Older members are not needed.
    pub(crate) oldest_ms: i64,
    /// The time of a document, in milliseconds since the Unix epoch.
    pub(crate) time: fn(&Value) -> Option<i64>,
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

    /// The paths of the members of a collection.
    pub(crate) fn member_paths(
        &self,
        path: &str,
        budget: &CallBudget<'_>,
    ) -> Result<Vec<String>, AskError> {
        let mut walk = PageWalk::new(path);
        let mut paths = Vec::new();
        while let Some(page) = walk.page(self, budget)? {
            paths.extend(page.into_iter().map(|(path, _)| path));
        }
        Ok(paths)
    }

    /// The newest members of a collection.
    pub(crate) fn newest_members(
        &self,
        query: &NewestMembers<'_>,
        budget: &CallBudget<'_>,
    ) -> Result<Vec<Member>, AskError> {
        let NewestMembers { path, limit, .. } = *query;
        let time = |member: &Member| (query.time)(&member.document);
        let mut walk = PageWalk::new(path);
        walk.step(self, &HashSet::new(), budget)?;
        let ends = walk.members.first().zip(walk.members.last());
        let ascending = ends.is_some_and(|(first, last)| time(first) < time(last));
        if ascending && walk.count > walk.members.len().max(limit) && self.skips(budget)? {
            walk = PageWalk::new(&format!("{path}?$skip={}", walk.count - limit));
        }
        loop {
            let oldest = walk.members.last().and_then(time);
            let is_enough = walk.members.len() >= limit
                || oldest.is_some_and(|oldest| oldest < query.oldest_ms);
            if !ascending && is_enough {
                walk.members.truncate(limit);
                break;
            }
            if !walk.step(self, &HashSet::new(), budget)? {
                break;
            }
        }
        let excess = walk.members.len().saturating_sub(limit);
        walk.members.drain(..excess);
        Ok(walk.members)
    }

    fn pages(
        &self,
        first: &str,
        known: &HashSet<String>,
        budget: &CallBudget<'_>,
    ) -> Result<Vec<Member>, AskError> {
        let mut walk = PageWalk::new(first);
        while walk.step(self, known, budget)? {}
        Ok(walk.members)
    }

    /// A resource that something links to; `None` if the service does not have it.
    pub(crate) fn member(
        &self,
        path: String,
        budget: &CallBudget<'_>,
    ) -> Result<Option<Member>, AskError> {
        match self.get(&path, budget) {
            Ok(document) => Ok(Some(Member::new(path, document))),
            Err(AskError::Absent(_)) => Ok(None),
            Err(AskError::Broken(reason)) => {
                log::warn!(reason; "a resource cannot be read");
                let document = Arc::new(json!({ "@odata.id": path, "Id": last_segment(&path) }));
                Ok(Some(Member {
                    fault: Some(reason),
                    ..Member::new(path, document)
                }))
            }
            Err(AskError::Call(failure)) => Err(failure.into()),
        }
    }

    /// Whether a page can begin at any member.
    fn skips(&self, budget: &CallBudget<'_>) -> Result<bool, AskError> {
        let root = self.root(budget)?;
        Ok(flag(&root, "/ProtocolFeaturesSupported/TopSkipQuery") == Some(true))
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

/// Reads one page after another.
struct PageWalk {
    first: String,
    next: Option<String>,
    pages: HashSet<String>,
    seen: HashSet<String>,
    members: Vec<Member>,
    /// The members of the whole collection, as the service counts them.
    count: usize,
}

impl PageWalk {
    fn new(first: &str) -> Self {
        Self {
            first: first.to_owned(),
            next: Some(first.to_owned()),
            pages: HashSet::new(),
            seen: HashSet::new(),
            members: Vec::new(),
            count: 0,
        }
    }

    /// Reads a page and its members. Returns whether it was not the last one.
    fn step(
        &mut self,
        client: &RedfishClient,
        known: &HashSet<String>,
        budget: &CallBudget<'_>,
    ) -> Result<bool, AskError> {
        let Some(page) = self.page(client, budget)? else {
            return Ok(false);
        };
        for (path, document) in page {
            match document {
                Some(document) => self.members.push(Member::new(path, document)),
                None if known.contains(&path) => {}
                None => self.members.extend(client.member(path, budget)?),
            }
        }
        Ok(self.next.is_some())
    }

    /// Reads a page: the paths of its members, and their documents if it has them. `None` after the
    /// last one.
    #[expect(clippy::type_complexity, reason = "the two halves of a member")]
    fn page(
        &mut self,
        client: &RedfishClient,
        budget: &CallBudget<'_>,
    ) -> Result<Option<Vec<(String, Option<Arc<Value>>)>>, AskError> {
        let next = self.next.take();
        let Some(path) = next.filter(|path| self.pages.insert(path.clone())) else {
            return Ok(None);
        };
        let page = client.get(&path, budget).map_err(|error| match error {
            // The collection is there: its first page was.
            AskError::Absent(reason) if path != self.first => AskError::Broken(reason),
            error => error,
        })?;
        let Some(items) = page.get("Members").and_then(Value::as_array) else {
            return Err(AskError::Broken(format!("`{path}` has no `Members`")));
        };
        let mut members = Vec::new();
        for item in items {
            let Some(path) = path_of(item).filter(|path| self.seen.insert(path.clone())) else {
                continue;
            };
            if self.seen.len() > MAX_MEMBERS {
                let first = &self.first;
                let reason = format!("`{first}` has more than {MAX_MEMBERS} members");
                return Err(AskError::Broken(reason));
            }
            let is_document = item.get("Id").is_some() || item.get("Name").is_some();
            members.push((path, is_document.then(|| Arc::new(item.clone()))));
        }
        let count = whole(&page, "/Members@odata.count").unwrap_or_default();
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
        self.next = link_to_next(&page);
        Ok(Some(members))
    }
}

fn link_to_next(page: &Value) -> Option<String> {
    let next = ["/Members@odata.nextLink", "/@odata.nextLink"];
    next.iter()
        .find_map(|pointer| link(page, pointer).or_else(|| normal_path(text(page, pointer)?)))
}
