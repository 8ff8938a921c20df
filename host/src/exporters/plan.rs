//! What a new configuration changes, compared with the one that is applied.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    config::{Config, ExporterConfig, StorageConfig},
    plugin::ExporterFactory,
};

/// The plugin of each configured exporter, or why it has none.
pub(super) type Factories = BTreeMap<String, Result<ExporterFactory, String>>;

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// New exporters.
    pub added: Vec<String>,
    /// Exporters that were replaced, because their settings or their plugin changed.
    pub changed: Vec<String>,
    /// Removed exporters; what is pending for them is kept for a day.
    pub removed: Vec<String>,
    /// Unchanged exporters that were not `running` and try again now.
    pub resumed: Vec<String>,
    /// Unchanged exporters that still cannot start.
    pub failed: Vec<String>,
    /// Unchanged exporters.
    pub unchanged: Vec<String>,
    /// Changed parts of the configuration that need a restart of the host.
    pub needs_restart: Vec<&'static str>,
    /// What is wrong and changed nothing, one line each.
    pub warnings: Vec<String>,
}

impl Reloaded {
    /// An exporter that is refused is neither new nor changed.
    pub(super) fn leave_out(&mut self, name: &str) {
        self.added.retain(|added| added != name);
        self.changed.retain(|changed| changed != name);
    }
}

/// The configuration that the exporters run with.
#[derive(Debug)]
pub(super) struct AppliedConfig {
    pub(super) config: Config,
    /// The opened plugin of each exporter that has one.
    pub(super) factories: BTreeMap<String, ExporterFactory>,
}

impl AppliedConfig {
    pub(super) fn exporter(&self, name: &str) -> Option<&ExporterConfig> {
        self.config
            .exporters
            .iter()
            .find(|exporter| exporter.name == name)
    }

    /// Whether this exporter runs with the same settings and the same plugin file. A
    /// file that cannot be opened does not concern an exporter whose plugin is open.
    pub(super) fn runs(
        &self,
        exporter: &ExporterConfig,
        factory: &Result<ExporterFactory, String>,
    ) -> bool {
        let open = self.factories.get(&exporter.name);
        let is_same = |new: &ExporterFactory| open.is_some_and(|open| open.sha256 == new.sha256);
        self.exporter(&exporter.name) == Some(exporter) && factory.as_ref().map_or(true, is_same)
    }

    /// What a new configuration would change.
    pub(super) fn plan(&self, new: &Config, factories: &Factories) -> Reloaded {
        let mut plan = Reloaded::default();
        for old in &self.config.exporters {
            if new.exporters.iter().all(|new| new.name != old.name) {
                plan.removed.push(old.name.clone());
            }
        }
        for exporter in &new.exporters {
            let name = exporter.name.clone();
            let Some(factory) = factories.get(&name) else {
                continue;
            };
            if !self.runs(exporter, factory) {
                let list = match self.exporter(&name) {
                    Some(_) => &mut plan.changed,
                    None => &mut plan.added,
                };
                list.push(name);
                continue;
            }
            if let Err(reason) = factory {
                let reason = new.redactor.redact(reason);
                plan.warnings.push(format!("exporter `{name}`: {reason}"));
            }
            plan.unchanged.push(name);
        }
        plan
    }
}

/// The storages, each with the labels that it has in a new configuration.
pub(super) fn with_labels_of(old: &[StorageConfig], new: &[StorageConfig]) -> Vec<StorageConfig> {
    let mut storages = old.to_vec();
    for storage in &mut storages {
        if let Some(new) = new.iter().find(|new| new.id == storage.id) {
            storage.labels = Arc::clone(&new.labels);
        }
    }
    storages
}

/// Changed parts of the configuration that are read only when the host starts.
/// `storages` are the old ones with their new labels.
pub(super) fn parts_needing_restart(
    old: &Config,
    new: &Config,
    storages: &[StorageConfig],
) -> Vec<&'static str> {
    let differs = [
        ("state_dir", old.state_dir != new.state_dir),
        (
            "plugin_cache_dir",
            old.plugin_cache_dir != new.plugin_cache_dir,
        ),
        ("cluster", old.cluster != new.cluster),
        ("log", old.log != new.log),
        ("api", old.api != new.api),
        ("metrics", old.metrics != new.metrics),
        ("memory", old.memory != new.memory),
        ("journal", old.journal != new.journal),
        ("alerts", old.alerts != new.alerts),
        ("inventory", old.inventory != new.inventory),
        ("traps", old.traps != new.traps),
        ("syslog", old.syslog != new.syslog),
        ("inputs", old.inputs != new.inputs),
        ("collection", old.collection != new.collection),
        ("shutdown", old.shutdown != new.shutdown),
        ("storage", storages != new.storages),
    ];
    differs
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
}
