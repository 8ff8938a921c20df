//! Resources of a storage: its pools, volumes, disks and what else Delfin lists.
//!
//! The table in `table.rs` describes every kind; drivers, the inventory, the API and the
//! command line follow it. [`ResourceList`] brings what a driver says into the form of the
//! table, within limits.

mod list;
mod table;

pub use list::{ResourceFields, ResourceList, StorageResource};
pub use table::{FieldType, ListScope, Relation, ResourceField, ResourceKind};
