//! The exporters of the host: started as a configuration says.
//!
//! One that cannot start is shown as failed, its cursor kept; the others run.

use std::{io, path::Path, sync::Arc, time::Duration};

use delfin_plugin_api::Kind;
use tokio::sync::Semaphore;

use super::ExporterSet;
use crate::{
    alert::ActiveAlerts,
    batch_journal::BatchJournals,
    config::{Config, ExporterConfig},
    delivery::{DeliveryParts, Resend},
    journal::{CursorError, ReadError, StartFrom},
    logging,
    plugin::{ExporterFactory, InstanceHost, PluginCounters},
};

/// Why an exporter cannot be started for a reason of the host's own.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot make folder `{path}` (check `state_dir`, its owner and its mode)")]
    Folder { path: String, source: io::Error },
}

/// What every exporter is started with.
#[derive(Clone, Debug)]
pub struct ExporterStarter {
    exporters: ExporterSet,
    journals: BatchJournals,
    alerts: ActiveAlerts,
    suspects: Arc<Semaphore>,
    journal_max_age: Duration,
}

impl ExporterStarter {
    pub(crate) fn new(
        config: &Config,
        exporters: ExporterSet,
        journals: BatchJournals,
        alerts: ActiveAlerts,
    ) -> Self {
        Self {
            exporters,
            journals,
            alerts,
            suspects: Arc::new(Semaphore::new(1)),
            journal_max_age: config.journal.max_age,
        }
    }

    /// Starts one exporter.
    pub(crate) async fn start(
        &self,
        config: &Config,
        exporter: &ExporterConfig,
        plugin: Result<ExporterFactory, String>,
    ) -> Result<(), StartError> {
        let journal = self.journals.of(exporter.kind);
        let declared = plugin.as_ref().ok().and_then(|plugin| plugin.resend);
        let interval = exporter.resend.or_declared(declared);
        let parts = DeliveryParts {
            resend: interval.map(|interval| Resend {
                interval,
                alerts: self.alerts.clone(),
            }),
            cursor: journal
                .backend()
                .open_cursor(&exporter.name, exporter.start_from)
                .await?,
            config: exporter.clone(),
            plugin,
            host: instance_host(config, exporter)?,
            marker: config.state_dir.join("calls").join(&exporter.name),
            suspects: Arc::clone(&self.suspects),
            journal_max_age: self.journal_max_age,
            journal_max_bytes: journal.backend().stats()?.max_bytes,
            journal: Arc::clone(journal),
        };
        self.exporters.start(&parts);
        Ok(())
    }

    /// Fixes where each exporter starts before the first batch is accepted, so
    /// that none misses one. Those that want older records come first: without a
    /// cursor nothing holds these. What is configured no longer is let go of
    /// after a while.
    pub(crate) async fn fix_places(&self, config: &Config) -> Result<(), StartError> {
        let mut exporters: Vec<&ExporterConfig> = config.exporters.iter().collect();
        exporters.sort_by_key(|exporter| exporter.start_from == StartFrom::Now);
        for exporter in exporters {
            let journal = self.journals.of(exporter.kind).backend();
            journal
                .open_cursor(&exporter.name, exporter.start_from)
                .await?;
        }
        for kind in [Kind::Performance, Kind::Alert] {
            let journal = self.journals.of(kind).backend();
            let of_kind = config
                .exporters
                .iter()
                .filter(|exporter| exporter.kind == kind);
            let names: Vec<String> = of_kind.map(|exporter| exporter.name.clone()).collect();
            for cursor in journal.cursors()? {
                if !names.contains(&cursor.exporter) {
                    log::warn!(
                        exporter = cursor.exporter, kind:% = kind;
                        "an exporter is no longer configured; what is pending for it is kept for a day, and takes room"
                    );
                }
            }
            journal.set_configured(names).await?;
        }
        Ok(())
    }
}

/// What an exporter's instances are lent; its state folder is made.
///
/// # Errors
///
/// The folder cannot be made.
pub(crate) fn instance_host(
    config: &Config,
    exporter: &ExporterConfig,
) -> Result<InstanceHost, StartError> {
    let folder = config.state_dir.join("exporters").join(&exporter.name);
    make_folder(&folder)?;
    Ok(InstanceHost {
        exporter: exporter.name.clone(),
        state_dir: folder.display().to_string(),
        level: logging::exporter_level(&exporter.name),
        redactor: config.redactor.clone(),
        counters: PluginCounters::default(),
    })
}

fn make_folder(folder: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(folder).map_err(|source| StartError::Folder {
        path: folder.display().to_string(),
        source,
    })
}
