//! Answers to lists of resources, and what the storage says about itself.
//!
//! Promises: a kind whose resources cannot be read completely is an error, and no shorter list.

mod capacity;
mod fields;
mod identity;
mod part;
mod walk;

use delfin_plugin_api::{Failure, driver::DriverFailure};
use serde_json::Value;

pub(crate) use self::{
    identity::storage_info,
    part::{PartKind, TreePart},
    walk::ResourceTree,
};

/// The resources of a kind, as `volumes`.
pub(crate) fn list(tree: &ResourceTree, kind: &str) -> Result<Vec<Value>, DriverFailure> {
    let Some(kind) = PartKind::listed_as(kind) else {
        return Err(DriverFailure::unsupported(format!(
            "the driver does not list {kind}"
        )));
    };
    if let Some(reason) = tree.broken(kind) {
        return Err(Failure::rejected(reason).into());
    }
    let parts = tree.parts.iter().filter(|part| part.kind == kind);
    Ok(parts.map(|part| fields::of(tree, part)).collect())
}

/// The type in alerts of the resource that an alert is about: the resource at the path, or the one
/// whose part is there.
pub(crate) fn part_of_origin(tree: &ResourceTree, path: &str) -> Option<&'static str> {
    let mut path = path;
    loop {
        if let Some(part) = tree.part_at(path) {
            return Some(part.kind.alert_type());
        }
        path = path.rsplit_once('/')?.0;
    }
}
