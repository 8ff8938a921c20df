//! Walks from the service root to the resources of its storage.
//!
//! Promises: each path is read once, whichever links lead to it, so that cycles end; the depth is
//! that of the schema, because only known properties are followed; what a collection that cannot
//! be read would have had is known to be missing.

use std::{collections::HashSet, sync::Arc, time::Instant};

use delfin_plugin_api::{Failure, log};
use serde_json::Value;

use super::part::{PartKind, TreePart};
use crate::{
    client::{AskError, CallBudget, Member, RedfishClient},
    decode::{link, links, list, path_of},
};

/// The resources of a service.
#[derive(Debug)]
pub(crate) struct ResourceTree {
    pub(crate) root: Arc<Value>,
    pub(crate) systems: Vec<Member>,
    pub(crate) chassis: Vec<Member>,
    pub(crate) managers: Vec<Member>,
    pub(crate) parts: Vec<TreePart>,
    pub(crate) read_at: Instant,
    broken: Vec<(PartKind, String)>,
}

/// The collections of a subsystem.
const COLLECTIONS: [(&str, PartKind); 5] = [
    ("/Controllers", PartKind::Controller),
    ("/StoragePools", PartKind::Pool),
    ("/Volumes", PartKind::Volume),
    ("/FileSystems", PartKind::Filesystem),
    ("/Drives", PartKind::Disk),
];

impl ResourceTree {
    /// Reads the resources.
    pub(crate) fn read(client: &RedfishClient, budget: &CallBudget<'_>) -> Result<Self, Failure> {
        let root = client.root(budget).map_err(|error| match error {
            AskError::Absent(reason) | AskError::Broken(reason) => Failure::rejected(format!(
                "{reason} (`{}` is no Redfish service)",
                client.authority()
            )),
            AskError::Call(failure) => failure,
        })?;
        let mut walk = TreeWalk {
            client,
            budget,
            known: HashSet::new(),
            tree: Self {
                root: Arc::clone(&root),
                systems: Vec::new(),
                chassis: Vec::new(),
                managers: Vec::new(),
                parts: Vec::new(),
                read_at: Instant::now(),
                broken: Vec::new(),
            },
        };
        walk.run(&root)?;
        walk.tree.read_at = Instant::now();
        Ok(walk.tree)
    }

    /// Why the resources of a kind are not all known.
    pub(super) fn broken(&self, kind: PartKind) -> Option<&str> {
        let found = self.broken.iter().find(|(broken, _)| *broken == kind);
        found.map(|(_, reason)| reason.as_str())
    }

    /// The resource at a path.
    pub(crate) fn part_at(&self, path: &str) -> Option<&TreePart> {
        self.parts.iter().find(|part| part.path == path)
    }
}

struct TreeWalk<'a, 'b> {
    client: &'a RedfishClient,
    budget: &'a CallBudget<'b>,
    known: HashSet<String>,
    tree: ResourceTree,
}

impl TreeWalk<'_, '_> {
    fn run(&mut self, root: &Value) -> Result<(), Failure> {
        self.tree.managers = self.linked(root, "/Managers", &[])?;
        self.tree.systems = self.linked(root, "/Systems", &PartKind::ALL)?;
        let systems = self.linked(root, "/StorageSystems", &PartKind::ALL)?;
        self.tree.systems.extend(systems);
        self.tree.chassis = self.linked(root, "/Chassis", &[PartKind::Disk, PartKind::Port])?;

        let mut subsystems = self.linked(root, "/Storage", &PartKind::ALL)?;
        for system in self.tree.systems.clone() {
            subsystems.extend(self.linked(&system.document, "/Storage", &PartKind::ALL)?);
        }
        subsystems.extend(self.linked(root, "/StorageServices", &PartKind::ALL)?);
        // With the documents of a collection, drives need fewer requests than by links to each.
        for chassis in self.tree.chassis.clone() {
            self.collection(&chassis, "/Drives", PartKind::Disk)?;
            for adapter in self.linked(&chassis.document, "/NetworkAdapters", &[PartKind::Port])? {
                self.collection(&adapter, "/Ports", PartKind::Port)?;
            }
        }
        for subsystem in &subsystems {
            self.subsystem(subsystem)?;
        }
        Ok(())
    }

    fn subsystem(&mut self, subsystem: &Member) -> Result<(), Failure> {
        self.add(PartKind::Subsystem, subsystem.clone(), None, None);
        for (pointer, kind) in COLLECTIONS {
            self.collection(subsystem, pointer, kind)?;
        }
        // Drives are a list of links, or a collection.
        for path in links(&subsystem.document, "/Drives") {
            if self.known.contains(&path) {
                continue;
            }
            let read = self.client.member(path, self.budget);
            if let Some(Some(drive)) = self.or_broken(read, &[PartKind::Disk])? {
                self.add(PartKind::Disk, drive, None, Some(&subsystem.path));
            }
        }
        if link(&subsystem.document, "/Controllers").is_none() {
            self.embedded_controllers(subsystem);
        }
        let controllers = self.tree.parts.iter();
        let controllers: Vec<Member> = controllers
            .filter(|part| part.kind == PartKind::Controller)
            .filter(|part| part.parent.as_deref() == Some(&subsystem.path))
            .map(|part| Member {
                path: part.path.clone(),
                document: Arc::clone(&part.document),
            })
            .collect();
        for controller in &controllers {
            self.collection(controller, "/Ports", PartKind::Port)?;
        }
        Ok(())
    }

    /// Before they had a collection, controllers were a list in the document of the subsystem.
    fn embedded_controllers(&mut self, subsystem: &Member) {
        let pointer = "/StorageControllers";
        for (index, controller) in list(&subsystem.document, pointer).iter().enumerate() {
            let path = path_of(controller)
                .unwrap_or_else(|| format!("{}#{pointer}/{index}", subsystem.path));
            let document = Arc::new(controller.clone());
            let member = Member { path, document };
            self.add(PartKind::Controller, member, None, Some(&subsystem.path));
        }
    }

    /// Adds the members of a collection that an owner links to.
    fn collection(&mut self, owner: &Member, pointer: &str, kind: PartKind) -> Result<(), Failure> {
        let Some(collection) = link(&owner.document, pointer) else {
            return Ok(());
        };
        for member in self.linked(&owner.document, pointer, &[kind])? {
            self.add(kind, member, Some(&collection), Some(&owner.path));
        }
        Ok(())
    }

    fn add(
        &mut self,
        kind: PartKind,
        member: Member,
        collection: Option<&str>,
        parent: Option<&str>,
    ) {
        // A resource that several collections have is one resource.
        let is_new = self.known.insert(member.path.clone());
        if is_new {
            self.tree.parts.push(TreePart {
                kind,
                path: member.path,
                collection: collection.map(str::to_owned),
                parent: parent.map(str::to_owned),
                document: member.document,
            });
        }
    }

    /// The members of a collection that a document links to, once. `leads_to` says what is missing
    /// if it cannot be read.
    fn linked(
        &mut self,
        document: &Value,
        pointer: &str,
        leads_to: &[PartKind],
    ) -> Result<Vec<Member>, Failure> {
        let Some(path) = link(document, pointer).filter(|path| self.known.insert(path.clone()))
        else {
            return Ok(Vec::new());
        };
        let read = self.client.members(&path, &self.known, self.budget);
        Ok(self.or_broken(read, leads_to)?.unwrap_or_default())
    }

    /// `None`, and a note, if only this part of the service cannot be read.
    fn or_broken<T>(
        &mut self,
        read: Result<T, AskError>,
        leads_to: &[PartKind],
    ) -> Result<Option<T>, Failure> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(AskError::Absent(reason)) => {
                log::debug!(reason; "the service does not show a resource that it links to");
                Ok(None)
            }
            Err(AskError::Broken(reason)) => {
                let broken = leads_to.iter().map(|kind| (*kind, reason.clone()));
                self.tree.broken.extend(broken);
                Ok(None)
            }
            Err(AskError::Call(failure)) => Err(failure),
        }
    }
}
