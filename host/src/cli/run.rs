//! `run`: the host itself.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Error, Global, Output, check, settings};
use crate::{config::Loaded, host::Host, logging};

/// How long the process waits, when it ends, for calls that do not come back.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// What `run` understands.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do not start either when an exporter cannot
    #[arg(long)]
    pub strict: bool,
}

pub(super) fn run(global: &Global, args: &RunArgs, output: &mut Output<'_>) -> Result<(), Error> {
    settings::keep_files_private();
    let Loaded { config, source } = settings::load(global)?;
    if args.strict {
        check::all(&config, output)?;
    }
    logging::start(&config.log);
    let version = env!("CARGO_PKG_VERSION");
    log::info!(version = version, config:% = source; "delfin-host starts");
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let ran = runtime.block_on(serve(Loaded { config, source }));
    runtime.shutdown_timeout(LAST_MOMENT);
    logging::flush();
    ran
}

async fn serve(loaded: Loaded) -> Result<(), Error> {
    let signals = signals()?;
    let mut hangups = signal(SignalKind::hangup())?;
    let host = Host::start(loaded).await;
    let host = host.map_err(|error| Error::Failed(error.into()))?;
    let reloader = host.reloader().clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            if let Err(error) = reloader.reload().await {
                log::error!("the configuration was not reloaded: {error}");
            }
        }
    });
    host.run(nth(signals.clone(), 1), nth(signals, 2)).await;
    Ok(())
}

/// How often the process was told to stop.
fn signals() -> Result<watch::Receiver<u32>, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
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

/// Over with the n-th signal.
async fn nth(mut signals: watch::Receiver<u32>, n: u32) {
    // The sender lives as long as the process.
    let _ = signals.wait_for(|count| *count >= n).await;
}
