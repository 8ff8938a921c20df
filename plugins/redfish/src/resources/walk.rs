//! Walks from the service root to the resources of its storage.
//!
//! Promises: each path is read once, whichever links lead to it, so that cycles end; the depth is
//! that of the schema, because only known properties are followed; what the service root links to
//! is read completely, or the reading fails; below, what a part that cannot be read would have led
//! to is known to be missing. A part that the service does not have (404) is no fault.

use std::{collections::HashSet, sync::Arc, time::Instant};

use delfin_plugin_api::{Failure, log};
use serde_json::Value;

use super::part::{PartKind, TreePart};
use crate::{
    client::{AskError, CallBudget, Member, RedfishClient, complete},
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
    gaps: Vec<TreeGap>,
}

/// A part of the service that cannot be read.
#[derive(Debug)]
struct TreeGap {
    path: String,
    reason: String,
    /// What it would have led to; nothing if it is one resource, which is listed without its values.
    leads_to: Vec<PartKind>,
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
                gaps: Vec::new(),
            },
        };
        walk.run(&root)?;
        walk.tree.read_at = Instant::now();
        Ok(walk.tree)
    }

    /// Why the resources of a kind are not all known.
    pub(super) fn broken(&self, kind: PartKind) -> Option<&str> {
        let found = self.gaps.iter().find(|gap| gap.leads_to.contains(&kind));
        found.map(|gap| gap.reason.as_str())
    }

    /// Whether every part of the service was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether a part that could not be read answers now, so that another reading has more. Asks
    /// for these parts only: some services never show some of them to some users.
    pub(crate) fn can_be_completed(
        &self,
        client: &RedfishClient,
        budget: &CallBudget<'_>,
    ) -> Result<bool, Failure> {
        for gap in &self.gaps {
            match client.get(&gap.path, budget) {
                Ok(_) | Err(AskError::Absent(_)) => return Ok(true),
                Err(AskError::Broken(_)) => {}
                Err(AskError::Call(failure)) => return Err(failure),
            }
        }
        Ok(false)
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
        self.tree.managers = self.required(root, "/Managers")?;
        self.tree.systems = self.required(root, "/Systems")?;
        let systems = self.required(root, "/StorageSystems")?;
        self.tree.systems.extend(systems);
        self.tree.chassis = self.required(root, "/Chassis")?;

        let mut subsystems = self.required(root, "/Storage")?;
        for system in self.tree.systems.clone() {
            subsystems.extend(self.linked(
                &system.document,
                "/Storage",
                &PartKind::ALL,
                &PartKind::ALL,
            )?);
        }
        subsystems.extend(self.required(root, "/StorageServices")?);
        // With the documents of a collection, drives need fewer requests than by links to each.
        let ports: &[PartKind] = &[PartKind::Port];
        for chassis in self.tree.chassis.clone() {
            self.collection(&chassis, "/Drives", PartKind::Disk)?;
            for adapter in self.linked(&chassis.document, "/NetworkAdapters", ports, ports)? {
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
            let read = self.client.member(path.clone(), self.budget);
            if let Some(Some(drive)) = self.or_gap(&path, read, &[PartKind::Disk])? {
                if let Some(reason) = &drive.fault {
                    self.gap(&path, reason, &[]);
                }
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
            .map(|part| Member::new(part.path.clone(), Arc::clone(&part.document)))
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
            let member = Member::new(path, Arc::new(controller.clone()));
            self.add(PartKind::Controller, member, None, Some(&subsystem.path));
        }
    }

    /// Adds the members of a collection that an owner links to.
    fn collection(&mut self, owner: &Member, pointer: &str, kind: PartKind) -> Result<(), Failure> {
        let Some(collection) = link(&owner.document, pointer) else {
            return Ok(());
        };
        let (leads_to, below): (&[PartKind], &[PartKind]) = match kind {
            PartKind::Controller => (&[kind, PartKind::Port], &[PartKind::Port]),
            _ => (&[kind], &[]),
        };
        for member in self.linked(&owner.document, pointer, leads_to, below)? {
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
                fault: member.fault,
            });
        }
    }

    /// The members of a collection that the service root links to. They have the identity, the logs
    /// and the links to everything else: without one of them, resources and alerts would seem to
    /// have gone.
    fn required(&mut self, root: &Value, pointer: &str) -> Result<Vec<Member>, Failure> {
        let Some(path) = self.new_link(root, pointer) else {
            return Ok(Vec::new());
        };
        complete(self.client.members(&path, &self.known, self.budget))
    }

    /// The members of a collection that a document links to, once. `leads_to` says what is missing
    /// if it cannot be read, and `below` what is if a member cannot.
    fn linked(
        &mut self,
        document: &Value,
        pointer: &str,
        leads_to: &[PartKind],
        below: &[PartKind],
    ) -> Result<Vec<Member>, Failure> {
        let Some(path) = self.new_link(document, pointer) else {
            return Ok(Vec::new());
        };
        let read = self.client.members(&path, &self.known, self.budget);
        let members = self.or_gap(&path, read, leads_to)?.unwrap_or_default();
        for member in &members {
            if let Some(reason) = &member.fault {
                self.gap(&member.path, reason, below);
            }
        }
        Ok(members)
    }

    /// The path that a document links to, unless it is known.
    fn new_link(&mut self, document: &Value, pointer: &str) -> Option<String> {
        link(document, pointer).filter(|path| self.known.insert(path.clone()))
    }

    /// `None`, and a gap, if only this part of the service cannot be read.
    fn or_gap<T>(
        &mut self,
        path: &str,
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
                self.gap(path, &reason, leads_to);
                Ok(None)
            }
            Err(AskError::Call(failure)) => Err(failure),
        }
    }

    fn gap(&mut self, path: &str, reason: &str, leads_to: &[PartKind]) {
        self.tree.gaps.push(TreeGap {
            path: path.to_owned(),
            reason: reason.to_owned(),
            leads_to: leads_to.to_vec(),
        });
    }
}
