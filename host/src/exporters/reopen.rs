//! Opens libraries again that did not open, for exporters in threads of the host.
//!
//! The delivery of an exporter starts its process again. A library is opened before there is a
//! delivery, and may have failed for a reason that is gone: a machine that was suspended, a disk
//! that stalled.

use tokio::{task::block_in_place, time::sleep};

use super::{
    ExporterStartError,
    reload::{OpenMode, Reloader, open},
    replace::ExporterReplacement,
};
use crate::{
    config::{ExporterConfig, Isolation},
    delivery::paused_wait,
    plugin::{ExporterFactory, Plugins},
};

impl Reloader {
    /// Tries again, with the waits of `retry`, until the host stops.
    pub(crate) async fn reopen_libraries(self) {
        let mut applied_settings = self.settings();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let unopened = self.unopened().await;
            let waits = unopened.iter().map(|one| paused_wait(&one.retry, attempt));
            let wait = async {
                match waits.min() {
                    Some(wait) => sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                // A reload has tried all of them.
                changed = applied_settings.changed() => match changed {
                    Ok(()) => {
                        attempt = 0;
                        continue;
                    }
                    Err(_) => return,
                },
            }
            for exporter in unopened {
                self.reopen(&exporter).await;
            }
        }
    }

    /// Tries again now, if the library of the exporter did not open.
    pub(super) async fn reopen_library_of(&self, name: &str) {
        let unopened = self.unopened().await;
        if let Some(exporter) = unopened.iter().find(|one| one.name == name) {
            self.reopen(exporter).await;
        }
    }

    /// Exporters whose library did not open.
    async fn unopened(&self) -> Vec<ExporterConfig> {
        let applied = self.applied().await;
        let is_unopened = |exporter: &&ExporterConfig| {
            exporter.isolation == Isolation::Thread
                && !applied.factories.contains_key(&exporter.name)
        };
        let exporters = applied.config.exporters.iter();
        exporters.filter(is_unopened).cloned().collect()
    }

    async fn reopen(&self, exporter: &ExporterConfig) {
        if let Err(error) = self.try_reopen(exporter).await {
            log::error!(exporter = exporter.name, error:%; "exporter cannot be started");
        }
    }

    async fn try_reopen(&self, exporter: &ExporterConfig) -> Result<(), ExporterStartError> {
        let config = self.applied().await.config.clone();
        // Without the lock: a library that hangs delays no reload.
        let opened = block_in_place(|| {
            open(
                &config,
                &mut Plugins::find(&config),
                exporter,
                OpenMode::Start,
            )
        });
        let Ok(factory) = opened else {
            return Ok(());
        };
        let mut applied = self.applied().await;
        let is_current = applied.exporter(&exporter.name) == Some(exporter)
            && !applied.factories.contains_key(&exporter.name);
        if !is_current {
            return Ok(());
        }
        log::info!(exporter = exporter.name; "plugin opens now, starting its exporter");
        let config = applied.config.clone();
        let replacement = ExporterReplacement {
            config: &config,
            exporter,
            factory: Ok::<ExporterFactory, String>(factory),
            candidate: None,
        };
        let replaced = self.replacer().replace(&mut applied, replacement).await;
        let names = config.exporters.iter().map(|exporter| &*exporter.name);
        self.exporters().sort(&names.collect::<Vec<_>>());
        replaced.map(drop)
    }
}
