//! `run`: runs the host.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    check::{ExporterCheck, check_all},
    error::Error,
    options::GlobalOptions,
    output::Output,
};
use crate::{
    audit::{AuditLog, AuditRecord},
    config::Loaded,
    host::Host,
    journal::Journal,
    logging,
    panics::{end_process_on_panic, spawn_blocking},
    platform::{
        ReloadSignals, ServiceManager, StopSignals, adopt_orphans, end_all_processes,
        keep_files_private,
    },
};

/// How long the process waits for blocking tasks before it exits.
const EXIT_TIMEOUT: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do not start if an exporter cannot start
    #[arg(long)]
    pub strict: bool,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &RunArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    keep_files_private();
    let loaded = options.load_config()?;
    let Loaded { config, source, .. } = &loaded;
    if args.strict {
        check_all(config, ExporterCheck::Start, output)?;
    }
    logging::start(&config.log);
    let version = env!("CARGO_PKG_VERSION");
    log::info!(version = version, config:% = source; "delfin-host starts");
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Error::failed)?;
    end_process_on_panic();
    adopt_orphans();
    // Not on the main thread, which must not start a process.
    let manager = Arc::new(ServiceManager::of_process());
    let served = runtime.spawn(serve(loaded, Arc::clone(&manager)));
    let result = runtime.block_on(served).map_err(Error::failed).flatten();
    end_all_processes();
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    logging::flush();
    manager.stopped(result.is_err());
    result
}

async fn serve(loaded: Loaded, manager: Arc<ServiceManager>) -> Result<(), Error> {
    let signals = signals()?;
    let mut reload_signals = ReloadSignals::watch().map_err(Error::failed)?;
    let drain_timeout = loaded.config.shutdown.drain_timeout;
    let audit = AuditLog::new(loaded.config.log.audit_file.as_deref());
    let host = Host::start(loaded).await.map_err(Error::failed)?;
    manager.ready();
    tokio::spawn(keep_alive(Arc::clone(&manager), host.journals()));
    let (reloader, storages) = (host.reloader().clone(), Arc::clone(host.storages()));
    let reloads = Arc::clone(&manager);
    tokio::spawn(async move {
        loop {
            reload_signals.next().await;
            reloads.reloading();
            let reloaded = reloader.reload(&storages).await;
            if let Err(error) = &reloaded {
                log::error!("cannot reload the configuration: {error}");
            }
            let record = AuditRecord::of_signal(ReloadSignals::NAME, "reload", reloaded.is_ok());
            let audit = audit.clone();
            // A panic is in the log.
            drop(spawn_blocking(move || audit.record(&record)).await);
            reloads.ready();
        }
    });
    let stop = async {
        nth(signals.clone(), 1).await;
        manager.stopping(drain_timeout);
    };
    host.run(stop, nth(signals.clone(), 2)).await;
    Ok(())
}

/// Tells the watchdog that the host works: the async workers run this, and the threads for
/// blocking work and both journals answer.
async fn keep_alive(manager: Arc<ServiceManager>, journals: [Arc<dyn Journal>; 2]) {
    let works = || async {
        drop(tokio::task::spawn_blocking(|| ()).await);
        for journal in &journals {
            // An error is an answer as well: the journal reports it elsewhere.
            drop(journal.answer().await);
        }
    };
    manager.keep_alive(works).await;
}

/// How many times a signal has told the process to stop.
fn signals() -> Result<watch::Receiver<u32>, Error> {
    let mut signals = StopSignals::watch().map_err(Error::failed)?;
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            signals.next().await;
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

/// Completes at the n-th signal.
async fn nth(mut signals: watch::Receiver<u32>, n: u32) {
    // An error is impossible: the sender lives as long as the process.
    let _ = signals.wait_for(|count| *count >= n).await;
}
