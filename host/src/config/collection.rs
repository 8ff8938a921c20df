//! How the host asks all storages: `[collection]`.

use std::time::Duration;

use super::read::Section;
use super::setting::SHORTEST;
use crate::collect::CollectLimits;

/// `[collection]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionConfig {
    /// How often each storage lists its resources, which also have its capacity and status.
    pub resources_interval: Duration,
    pub limits: CollectLimits,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            resources_interval: Duration::from_secs(15 * 60),
            limits: CollectLimits::default(),
        }
    }
}

pub(super) fn read_collection(mut section: Section<'_>) -> CollectionConfig {
    let default = CollectionConfig::default();
    let interval = section.take("resources_interval");
    let interval = interval.and_then(|setting| setting.duration(SHORTEST));
    let calls = section.take_count("max_calls_per_site", 0, 0);
    section.finish();
    CollectionConfig {
        limits: CollectLimits {
            calls_per_site: usize::try_from(calls).ok().filter(|calls| *calls > 0),
        },
        resources_interval: interval.unwrap_or(default.resources_interval),
    }
}
