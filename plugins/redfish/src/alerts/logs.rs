//! The logs of a service.
//!
//! Promises: a log, or an entry, that is there and cannot be read is an error: without it, its
//! faults would seem to have ended.

use std::{collections::HashSet, sync::Arc};

use delfin_plugin_api::Failure;
use serde_json::Value;

use super::{AlertRequest, record::FaultRecord};
use crate::{
    client::{NewestMembers, complete},
    decode::{flag, link, text, time_ms},
    resources::ResourceTree,
};

/// The newest entries of each log that are read.
const MAX_ENTRIES: usize = 1_000;

/// Where the entries of the logs are.
pub(super) struct LogSet {
    /// The reading of the resources that they were found with.
    tree: Arc<ResourceTree>,
    entries: Vec<String>,
}

impl LogSet {
    /// Finds the logs of systems, chassis and managers.
    pub(super) fn find(request: &AlertRequest<'_>) -> Result<Self, Failure> {
        let tree = request.tree;
        let owners = [&tree.managers, &tree.systems, &tree.chassis];
        let services: Vec<String> = owners
            .into_iter()
            .flatten()
            .filter_map(|owner| link(&owner.document, "/LogServices"))
            .collect();
        let mut known = HashSet::new();
        let mut entries = Vec::new();
        for path in services {
            if !known.insert(path.clone()) {
                continue;
            }
            let members = request
                .client
                .members(&path, &HashSet::new(), request.budget);
            for log in complete(members)? {
                let is_off = flag(&log.document, "/ServiceEnabled") == Some(false);
                let path = link(&log.document, "/Entries").filter(|_| !is_off);
                entries.extend(path.filter(|path| known.insert(path.clone())));
            }
        }
        Ok(Self {
            tree: Arc::clone(tree),
            entries,
        })
    }

    pub(super) fn is_of(&self, tree: &Arc<ResourceTree>) -> bool {
        Arc::ptr_eq(&self.tree, tree)
    }

    /// The newest entries of each log that are not older.
    pub(super) fn entries(
        &self,
        request: &AlertRequest<'_>,
        oldest_ms: i64,
    ) -> Result<Vec<FaultRecord>, Failure> {
        let is_old = |entry: &Value| created_ms(entry).is_some_and(|time| time < oldest_ms);
        let mut records = Vec::new();
        for path in &self.entries {
            let query = NewestMembers {
                path,
                limit: MAX_ENTRIES,
                oldest_ms,
                time: created_ms,
            };
            let read = request.client.newest_members(&query, request.budget);
            let entries = complete(read)?;
            let recent = entries.iter().filter(|entry| !is_old(&entry.document));
            records.extend(recent.map(|entry| FaultRecord::of_entry(&entry.path, &entry.document)));
        }
        Ok(records)
    }
}

fn created_ms(entry: &Value) -> Option<i64> {
    time_ms(text(entry, "/Created")?)
}
