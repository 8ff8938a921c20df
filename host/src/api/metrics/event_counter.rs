//! Counters of events, by labels.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

pub(super) type MetricLabels<const N: usize> = [(&'static str, String); N];

/// A counter for each value of its labels, which counts as events happen. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct EventCounter<const N: usize>(Family<MetricLabels<N>, Counter>);

impl<const N: usize> EventCounter<N> {
    pub(super) fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::default();
        registry.register(name, help, family.clone());
        Self(family)
    }

    /// Adds to the counter with these labels. 0 creates its series: a rate needs two points.
    pub(super) fn add(&self, labels: [(&'static str, &str); N], events: u64) {
        let labels = labels.map(|(name, value)| (name, value.to_owned()));
        self.0.get_or_create(&labels).inc_by(events);
    }
}
