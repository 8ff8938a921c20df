//! Starts exporters as the configuration says.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use delfin_plugin_api::Kind;
use tokio::sync::Semaphore;

use super::{ExporterSet, pause_marks::PauseMarks};
use crate::{
    alert::ActiveAlerts,
    batch_journal::BatchJournals,
    config::{Config, ExporterConfig},
    delivery::{DeliveryParts, Resend},
    journal::{CursorError, ReadError, StartFrom},
    plugin::{Candidate, ExporterFactory, InstanceHost},
};

/// Why an exporter cannot be started for a reason of the host's own.
#[derive(Debug, thiserror::Error)]
pub enum ExporterStartError {
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot create folder `{path}` (check `state_dir`, its owner and its mode)")]
    Folder { path: String, source: io::Error },
}

/// Starts exporters.
#[derive(Clone, Debug)]
pub struct ExporterStarter {
    exporters: ExporterSet,
    journals: BatchJournals,
    alerts: ActiveAlerts,
    marks: PauseMarks,
    suspects: Arc<Semaphore>,
    journal_max_age: Duration,
}

impl ExporterStarter {
    pub(crate) fn new(
        config: &Config,
        exporters: &ExporterSet,
        journals: &BatchJournals,
        alerts: &ActiveAlerts,
        marks: PauseMarks,
    ) -> Self {
        Self {
            exporters: exporters.clone(),
            journals: journals.clone(),
            alerts: alerts.clone(),
            marks,
            suspects: Arc::new(Semaphore::new(1)),
            journal_max_age: config.journal.max_age,
        }
    }

    pub(super) fn journals(&self) -> &BatchJournals {
        &self.journals
    }

    pub(super) fn marks(&self) -> &PauseMarks {
        &self.marks
    }

    /// Starts one exporter, with what was tried before, if anything was.
    pub(crate) async fn start(
        &self,
        config: &Config,
        exporter: &ExporterConfig,
        plugin: Result<ExporterFactory, String>,
        candidate: Option<Candidate>,
    ) -> Result<(), ExporterStartError> {
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
            host: match &candidate {
                Some(candidate) => candidate.host.clone(),
                None => instance_host(config, exporter)?,
            },
            marker: marker(config, exporter),
            suspects: Arc::clone(&self.suspects),
            journal_max_age: self.journal_max_age,
            journal_max_bytes: journal.backend().stats()?.max_bytes,
            journal: Arc::clone(journal),
            paused: self.marks.contains(&exporter.name),
        };
        self.exporters.start(&parts, candidate);
        Ok(())
    }

    /// Opens the cursor of each exporter before the first batch is accepted, so that
    /// no exporter misses a batch. Cursors of exporters that are no longer configured
    /// are removed after a while.
    pub(crate) async fn open_cursors(&self, config: &Config) -> Result<(), ExporterStartError> {
        let mut exporters: Vec<&ExporterConfig> = config.exporters.iter().collect();
        // A record that no cursor needs is deleted soon: exporters that start from
        // older records come first.
        exporters.sort_by_key(|exporter| exporter.start_from == StartFrom::Now);
        for exporter in &exporters {
            let backend = self.journals.of(exporter.kind).backend();
            backend
                .open_cursor(&exporter.name, exporter.start_from)
                .await?;
        }
        for kind in [Kind::Performance, Kind::Alert] {
            let backend = self.journals.of(kind).backend();
            let of_kind = exporters.iter().filter(|exporter| exporter.kind == kind);
            let names: Vec<String> = of_kind.map(|exporter| exporter.name.clone()).collect();
            for cursor in backend.cursors()? {
                if !names.contains(&cursor.exporter) {
                    let pending = backend.backlog(&cursor.exporter)?.unwrap_or_default();
                    log::warn!(
                        exporter = cursor.exporter, kind:% = kind, items = pending.items, bytes = pending.bytes;
                        "an exporter is no longer configured; what is pending for it is kept for a day and takes room \
                         (add it again, or use `delfin-host exporters rename` or `forget`)"
                    );
                }
            }
            backend.set_configured(names).await?;
        }
        Ok(())
    }
}

/// What the host lends to an exporter's instances. Creates the exporter's state
/// folder.
fn instance_host(
    config: &Config,
    exporter: &ExporterConfig,
) -> Result<InstanceHost, ExporterStartError> {
    let state_dir = state_folder(config, exporter)?;
    Ok(InstanceHost::new(
        &exporter.name,
        &config.redactor,
        state_dir,
    ))
}

/// The state folder of an exporter, which is created.
///
/// # Errors
///
/// The folder cannot be created.
pub(super) fn state_folder(
    config: &Config,
    exporter: &ExporterConfig,
) -> Result<String, ExporterStartError> {
    let folder = config.state_dir.join("exporters").join(&exporter.name);
    create_folder(&folder)?;
    Ok(folder.display().to_string())
}

/// The path of the crash guard's marker file.
pub(super) fn marker(config: &Config, exporter: &ExporterConfig) -> PathBuf {
    config.state_dir.join("calls").join(&exporter.name)
}

fn create_folder(folder: &Path) -> Result<(), ExporterStartError> {
    std::fs::create_dir_all(folder).map_err(|source| ExporterStartError::Folder {
        path: folder.display().to_string(),
        source,
    })
}
