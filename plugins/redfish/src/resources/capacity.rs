//! Capacity in the several forms of the schemas.

use serde_json::Value;

use crate::decode::{number, whole};

/// Capacity in bytes, where it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PartCapacity {
    pub(super) total: Option<u64>,
    pub(super) used: Option<u64>,
    pub(super) free: Option<u64>,
    pub(super) subscribed: Option<u64>,
}

impl PartCapacity {
    /// Of a pool or a file system: what is allocated to it, and what is consumed of that.
    pub(super) fn of_pool(document: &Value) -> Self {
        let data = |name: &str| whole(document, &format!("/Capacity/Data/{name}"));
        let info = |name: &str| whole(document, &format!("/CapacityInfo/{name}"));
        let total = data("AllocatedBytes")
            .or(info("AllocatedBytes"))
            .or(data("GuaranteedBytes"))
            .or(whole(document, "/CapacityBytes"));
        let subscribed = data("ProvisionedBytes").or(info("ProvisionedBytes"));
        let total = total.or(subscribed);
        let used = data("ConsumedBytes").or(info("ConsumedBytes"));
        Self {
            subscribed,
            ..Self::completed(total, used, document)
        }
    }

    /// Of a volume: the size that its host sees. A thin volume is allocated as it is written.
    pub(super) fn of_volume(document: &Value) -> Self {
        let data = |name: &str| whole(document, &format!("/Capacity/Data/{name}"));
        let total = data("ProvisionedBytes")
            .or(whole(document, "/CapacityBytes"))
            .or(data("AllocatedBytes"));
        let allocated = data("AllocatedBytes").filter(|_| is_thin(document) == Some(true));
        let used = data("ConsumedBytes").or(allocated);
        Self::completed(total, used, document)
    }

    fn completed(total: Option<u64>, used: Option<u64>, document: &Value) -> Self {
        let remaining = number(document, "/RemainingCapacityPercent").filter(|left| *left <= 100.0);
        let free = match (total, used) {
            (Some(total), Some(used)) => Some(total.saturating_sub(used)),
            (Some(total), None) => remaining.map(|left| (total as f64 * left / 100.0) as u64),
            (None, _) => None,
        };
        let used = used.or_else(|| Some(total?.saturating_sub(free?)));
        Self {
            total,
            used,
            free,
            subscribed: None,
        }
    }
}

/// Whether a volume is thin, if the service says so.
pub(super) fn is_thin(document: &Value) -> Option<bool> {
    let policy = crate::decode::text(document, "/ProvisioningPolicy").map(|text| text == "Thin");
    policy.or(crate::decode::flag(document, "/Capacity/IsThinProvisioned"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_has_what_is_allocated_to_it() {
        let pool = json!({"Capacity": {"Data": {
            "AllocatedBytes": 1000, "ConsumedBytes": 300, "ProvisionedBytes": 2500
        }}});
        let expected = PartCapacity {
            total: Some(1000),
            used: Some(300),
            free: Some(700),
            subscribed: Some(2500),
        };
        assert_eq!(PartCapacity::of_pool(&pool), expected);
        let percent = json!({"CapacityBytes": "200", "RemainingCapacityPercent": 25});
        let expected = PartCapacity {
            total: Some(200),
            used: Some(150),
            free: Some(50),
            subscribed: None,
        };
        assert_eq!(PartCapacity::of_pool(&percent), expected);
        assert_eq!(PartCapacity::of_pool(&json!({})), PartCapacity::default());
    }

    #[test]
    fn a_volume_has_the_size_that_its_host_sees() {
        let capacity = |document: Value| {
            let capacity = PartCapacity::of_volume(&document);
            (capacity.total, capacity.used, capacity.free)
        };
        let thin = json!({
            "CapacityBytes": 1000,
            "ProvisioningPolicy": "Thin",
            "Capacity": {"Data": {"ProvisionedBytes": 1000, "AllocatedBytes": 400}}
        });
        assert_eq!(capacity(thin), (Some(1000), Some(400), Some(600)));
        // A volume of a server's controller: what is written is not known.
        assert_eq!(
            capacity(json!({"CapacityBytes": 1000})),
            (Some(1000), None, None)
        );
        let over = json!({"Capacity": {"Data": {"AllocatedBytes": 10, "ConsumedBytes": 12}}});
        assert_eq!(capacity(over), (Some(10), Some(12), Some(0)));
    }
}
