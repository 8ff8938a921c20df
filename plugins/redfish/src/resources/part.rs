//! A resource of the service, and what it is for Delfin.

use std::sync::Arc;

use serde_json::Value;

use crate::decode::{last_segment, native_id, text};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartKind {
    /// A storage subsystem or a storage service: it has measurements of the storage as a whole.
    Subsystem,
    Pool,
    Volume,
    Controller,
    Port,
    Disk,
    Filesystem,
}

/// A resource with its document.
#[derive(Debug, Clone)]
pub(crate) struct TreePart {
    pub(crate) kind: PartKind,
    /// The path of its document, for an embedded one with a fragment.
    pub(crate) path: String,
    /// The path of the collection that it was found in, if any.
    pub(crate) collection: Option<String>,
    /// The path of the resource that it belongs to.
    pub(crate) parent: Option<String>,
    pub(crate) document: Arc<Value>,
    /// Why the document cannot be read.
    pub(crate) fault: Option<String>,
}

impl PartKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Subsystem,
        Self::Pool,
        Self::Volume,
        Self::Controller,
        Self::Port,
        Self::Disk,
        Self::Filesystem,
    ];

    /// The kind that the host calls so in its lists.
    pub(super) fn listed_as(name: &str) -> Option<Self> {
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| kind.list_name() == Some(name))
    }

    /// `None`: the host has no list of them.
    fn list_name(self) -> Option<&'static str> {
        match self {
            Self::Subsystem => None,
            Self::Pool => Some("storage_pools"),
            Self::Volume => Some("volumes"),
            Self::Controller => Some("controllers"),
            Self::Port => Some("ports"),
            Self::Disk => Some("disks"),
            Self::Filesystem => Some("filesystems"),
        }
    }

    /// The type in the labels of series.
    pub(crate) fn resource_type(self) -> &'static str {
        match self {
            Self::Subsystem => "storage",
            Self::Pool => "storagePool",
            Self::Volume => "volume",
            Self::Controller => "controller",
            Self::Port => "port",
            Self::Disk => "disk",
            Self::Filesystem => "filesystem",
        }
    }

    /// The type in alerts.
    pub(super) fn alert_type(self) -> &'static str {
        match self {
            Self::Subsystem => "Storage",
            Self::Pool => "StoragePool",
            Self::Volume => "Volume",
            Self::Controller => "Controller",
            Self::Port => "Port",
            Self::Disk => "Disk",
            Self::Filesystem => "Filesystem",
        }
    }
}

impl TreePart {
    /// The id, unique in the service.
    pub(crate) fn id(&self) -> &str {
        native_id(&self.path)
    }

    /// The name for people.
    pub(crate) fn name(&self) -> &str {
        ["/DisplayName", "/Name", "/Id"]
            .iter()
            .find_map(|pointer| text(&self.document, pointer))
            .unwrap_or_else(|| last_segment(&self.path))
    }
}
