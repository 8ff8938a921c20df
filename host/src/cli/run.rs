//! `run`: runs the host.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    check::{ExporterCheck, check_all},
    error::Error,
    options::{GlobalOptions, keep_files_private},
    output::Output,
};
use crate::{
    config::Loaded,
    host::Host,
    logging,
    plugin::{adopt_orphans, end_all_processes},
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
    let Loaded { config, source } = options.load_config()?;
    if args.strict {
        check_all(&config, ExporterCheck::Start, output)?;
    }
    logging::start(&config.log);
    let version = env!("CARGO_PKG_VERSION");
    log::info!(version = version, config:% = source; "delfin-host starts");
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Error::failed)?;
    adopt_orphans();
    // Not on the main thread, which must not start a process.
    let served = runtime.spawn(serve(Loaded { config, source }));
    let result = runtime.block_on(served).map_err(Error::failed).flatten();
    end_all_processes();
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    logging::flush();
    result
}

async fn serve(loaded: Loaded) -> Result<(), Error> {
    let signals = signals()?;
    let mut hangups = signal(SignalKind::hangup()).map_err(Error::failed)?;
    let host = Host::start(loaded).await.map_err(Error::failed)?;
    let reloader = host.reloader().clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            if let Err(error) = reloader.reload().await {
                log::error!("cannot reload the configuration: {error}");
            }
        }
    });
    host.run(nth(signals.clone(), 1), nth(signals, 2)).await;
    Ok(())
}

/// How many times a signal has told the process to stop.
fn signals() -> Result<watch::Receiver<u32>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::failed)?;
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
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
