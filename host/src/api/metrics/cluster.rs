//! The role of this host in its cluster.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::family::FamilyWriter;
use crate::cluster::{ClusterMember, MemberRole};

#[derive(Debug)]
pub(super) struct ClusterCollector(pub(super) ClusterMember);

impl Collector for ClusterCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = self.0.view();
        let mut writer = FamilyWriter::new(encoder);
        writer.single_gauge(
            "cluster_active",
            "1 if this host is active, 0 if it is standby.",
            &u64::from(view.role == MemberRole::Active),
        )?;
        if let Some(epoch) = view.active().and_then(|active| active.epoch) {
            writer.single_gauge(
                "cluster_lease_epoch",
                "How often the lease was taken since its row in the database was made.",
                &epoch,
            )?;
        }
        writer.single_gauge(
            "cluster_database_available",
            "1 if the database of the cluster answers, 0 if it does not.",
            &u64::from(view.fault.is_none()),
        )
    }
}
