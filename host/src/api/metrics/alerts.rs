//! Metrics of the table of active alerts.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::alert::ActiveAlerts;

#[derive(Debug)]
pub(super) struct AlertCollector(pub(super) ActiveAlerts);

impl Collector for AlertCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let mut page = FamilyWriter::new(encoder);
        let active = stats.active.into_iter();
        page.gauge(
            "active_alerts",
            "Active alerts, by severity.",
            active.map(|(severity, alerts)| ([("severity", severity)], alerts)),
        )?;
        page.single_counter(
            "active_alerts_dropped",
            "Active alerts that were dropped because the table was full.",
            &stats.dropped,
        )
    }
}
