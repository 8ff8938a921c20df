//! The names of a storage's resources, as the storage has listed them.

use std::{collections::HashMap, fmt, sync::Arc};

use serde_json::Value;

use super::{
    metric::ResourceType,
    resource::{ResourceFields, ResourceKind},
};

/// The names of resources by type and id. A resource without a name of its own is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceNames(HashMap<ResourceType, HashMap<String, String>>);

/// Reads the names of one storage's resources. May block on the disk.
#[derive(Clone)]
pub struct ResourceNameSource(Arc<dyn Fn() -> ResourceNames + Send + Sync>);

impl ResourceNames {
    /// Adds the name of a listed resource, if series can have it.
    pub fn add(&mut self, kind: ResourceKind, fields: &ResourceFields) {
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        let (Some(resource_type), Some(id)) = (kind.resource_type(), text(kind.native_id())) else {
            return;
        };
        let name = text("name").filter(|name| !name.is_empty() && *name != id);
        if let Some(name) = name {
            let names = self.0.entry(resource_type).or_default();
            names.insert(id.to_owned(), name.to_owned());
        }
    }

    /// The name of a resource; its id if it has none.
    #[must_use]
    pub fn name_or_id<'a>(&'a self, resource_type: ResourceType, id: &'a str) -> &'a str {
        let names = self.0.get(&resource_type);
        names
            .and_then(|names| names.get(id))
            .map_or(id, |name| name)
    }
}

impl ResourceNameSource {
    #[must_use]
    pub fn new(read: impl Fn() -> ResourceNames + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(super) fn read(&self) -> ResourceNames {
        (self.0)()
    }
}

impl Default for ResourceNameSource {
    /// Knows no names.
    fn default() -> Self {
        Self::new(ResourceNames::default)
    }
}

impl fmt::Debug for ResourceNameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceNameSource").finish_non_exhaustive()
    }
}
