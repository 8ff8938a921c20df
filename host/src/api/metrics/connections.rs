//! Metrics of the connections of clients.

use std::{fmt, sync::Arc};

use delfin_plugin_api::connections::ConnectionTable;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;

#[derive(Debug)]
pub(super) struct ConnectionCollector(pub(super) Arc<ConnectionTable>);

impl Collector for ConnectionCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = FamilyWriter::new(encoder);
        page.single_gauge(
            "api_open_connections",
            "Open connections of API clients.",
            &self.0.open(),
        )?;
        page.single_counter(
            "api_connections",
            "Connections of API clients that were accepted.",
            &self.0.accepted(),
        )?;
        page.single_counter(
            "api_evicted_connections",
            "Connections that waited longest for their client and were closed, because all connections were in use.",
            &self.0.gave_way(),
        )
    }
}
