//! Which rows must wait for the sake of order.

use crate::config::DeliveryOrder;

/// Holds back the rows that must follow rows that are not sent now. A key is the
/// `storage_id` of a batch.
#[derive(Clone, Debug)]
pub(super) struct OrderingGuard {
    ordering: DeliveryOrder,
    held_keys: Vec<Option<String>>,
}

impl OrderingGuard {
    pub(super) fn new(ordering: DeliveryOrder) -> Self {
        Self {
            ordering,
            held_keys: Vec::new(),
        }
    }

    /// Whether rows with this key must wait. A batch without a key may hold rows
    /// of any storage: it waits for every key, and every key waits for it.
    pub(super) fn holds(&self, key: Option<&str>) -> bool {
        match self.ordering {
            DeliveryOrder::None => false,
            DeliveryOrder::Strict => !self.held_keys.is_empty(),
            DeliveryOrder::PerKey => self
                .held_keys
                .iter()
                .any(|held| held.is_none() || key.is_none() || held.as_deref() == key),
        }
    }

    /// Later rows with this key must wait from now on.
    pub(super) fn hold(&mut self, key: Option<&str>) {
        if !self.held_keys.iter().any(|held| held.as_deref() == key) {
            self.held_keys.push(key.map(str::to_owned));
        }
    }
}
