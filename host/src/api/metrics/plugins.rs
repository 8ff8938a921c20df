//! Metrics of the plugin files.

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use tokio::sync::watch;

use super::family::FamilyWriter;
use crate::plugin::PluginView;

#[derive(Debug)]
pub(super) struct PluginCollector(pub(super) watch::Receiver<Arc<[PluginView]>>);

impl Collector for PluginCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let plugins = Arc::clone(&self.0.borrow());
        let mut page = FamilyWriter::new(encoder);
        let used = plugins.iter().filter(|plugin| plugin.refused.is_none());
        let infos = used.map(|plugin| {
            let known = |fact: &'_ Option<String>| fact.clone().unwrap_or_default();
            [
                ("file", plugin.file.clone()),
                ("name", known(&plugin.name)),
                ("version", known(&plugin.version)),
                ("abi", known(&plugin.abi)),
                ("sha256", known(&plugin.sha256)),
            ]
        });
        page.info(
            "plugin",
            "Name and version of each plugin file that is used.",
            infos,
        )?;
        let refused = plugins.iter().filter(|plugin| plugin.refused.is_some());
        page.single_gauge(
            "refused_plugins",
            "Plugin files that were refused.",
            &refused.count(),
        )
    }
}
