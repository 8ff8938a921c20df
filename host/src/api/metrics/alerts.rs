//! Which alerts are active.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::page::Page;
use crate::alert::ActiveAlerts;

/// Asks the table.
#[derive(Debug)]
pub(super) struct Alerts(pub(super) ActiveAlerts);

impl Collector for Alerts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let mut page = Page::new(encoder);
        let active = stats.active.into_iter();
        page.gauge(
            "active_alerts",
            "Alerts that are active, by severity.",
            active.map(|(severity, alerts)| ([("severity", severity)], alerts)),
        )?;
        page.single_counter(
            "active_alerts_dropped",
            "Active alerts that the table had no room for.",
            &stats.dropped,
        )
    }
}
