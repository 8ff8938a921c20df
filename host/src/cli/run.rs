//! `run`: runs the host.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::{abort, exit},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use super::{
    check::{ExporterCheck, check_all},
    error::Error,
    exit::Exit,
    options::GlobalOptions,
    output::Output,
};
use crate::{
    audit::{AuditLog, AuditRecord},
    cluster::ClusterMember,
    config::{self, Loaded, LogConfig, LogFileConfig},
    host::Host,
    journal::Journal,
    logging,
    panics::{end_process_on_panic, spawn_blocking},
    platform::{
        ReloadSignals, ServiceManager, StopSignals, adopt_orphans, end_all_processes,
        keep_files_private, start_again,
    },
    standby::{ActiveMember, Readiness, Standby},
};

/// How long the process waits for blocking tasks before it exits.
const EXIT_TIMEOUT: Duration = Duration::from_millis(200);

/// How often a standby is checked.
const READINESS_INTERVAL: Duration = Duration::from_mins(1);

/// How long a process that has lost its lease may take to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Do not start if an exporter cannot start
    #[arg(long)]
    pub strict: bool,
}

/// Why a host has ended.
enum HostEnd {
    Stopped,
    /// It has given the lease of its cluster to another member, and is standby from now on.
    HandedOver,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &RunArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    keep_files_private();
    // Before anything can fail: some managers wait for this, and want to know with which exit code the host ends.
    let manager = Arc::new(ServiceManager::of_process());
    let result = match run_managed(options, args, output, &manager) {
        Ok(HostEnd::Stopped) => Ok(()),
        // A thread that is left must not write with the next lease, as it could if this process went on.
        Ok(HostEnd::HandedOver) => Err(Error::HandedOver(start_again())),
        Err(error) => Err(error),
    };
    let exit = result.as_ref().err().map_or(Exit::Ok, Error::exit);
    // A host that ends without a report is started again. A wrong configuration stays wrong.
    if matches!(exit, Exit::Ok | Exit::Configuration) {
        manager.stopped(exit.code());
    }
    result
}

fn run_managed(
    options: &GlobalOptions,
    args: &RunArgs,
    output: &mut Output<'_>,
    manager: &Arc<ServiceManager>,
) -> Result<HostEnd, Error> {
    let loaded = options.load_config()?;
    let Loaded { config, source, .. } = &loaded;
    if args.strict {
        check_all(config, ExporterCheck::Start, output)?;
    }
    start_log(&config.log, source.path().filter(|_| !manager.has_stderr()));
    let version = env!("CARGO_PKG_VERSION");
    log::info!(version = version, config:% = source; "delfin-host starts");
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Error::failed)?;
    end_process_on_panic();
    adopt_orphans();
    let file = options.config.clone();
    // Not on the main thread, which must not start a process.
    let served = runtime.spawn(serve(loaded, file, Arc::clone(manager)));
    let result = runtime.block_on(served).map_err(Error::failed).flatten();
    end_all_processes();
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    logging::flush();
    result
}

/// Starts the log. Without standard error and without a file of its own, it goes to a file next to the configuration.
fn start_log(config: &LogConfig, next_to: Option<&Path>) {
    let own = || next_to.map(|path| LogFileConfig::at(path.with_file_name("host.log")));
    logging::start(&LogConfig {
        file: config.file.clone().or_else(own),
        ..config.clone()
    });
}

async fn serve(
    mut loaded: Loaded,
    file: Option<PathBuf>,
    manager: Arc<ServiceManager>,
) -> Result<HostEnd, Error> {
    let signals = signals()?;
    let mut reload_signals = ReloadSignals::watch().map_err(Error::failed)?;
    let mut active = None;
    if loaded.config.cluster.is_some() {
        let stop = nth(signals.clone(), 1);
        let standby = StandbySignals {
            stop,
            reload: &mut reload_signals,
        };
        let Some((read, member)) = stand_by(&loaded, file, &manager, standby).await? else {
            return Ok(HostEnd::Stopped);
        };
        (loaded, active) = (read, Some(member));
    }
    let drain_timeout = loaded.config.shutdown.drain_timeout;
    let audit = AuditLog::new(loaded.config.log.audit_file.as_deref());
    let member = active.as_ref().map(|active| active.member.clone());
    let host = match Host::start(loaded, active).await {
        Ok(host) => host,
        Err(error) => {
            if let Some(member) = member {
                member.leave().await;
            }
            return Err(Error::failed(error));
        }
    };
    if let Some(member) = &member {
        member.note_running();
    }
    manager.ready();
    tokio::spawn(keep_alive(Arc::clone(&manager), host.journals().into()));
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
            record_reload(&audit, reloaded.is_ok()).await;
            reloads.ready();
        }
    });
    let stop = async {
        tokio::select! {
            () = nth(signals.clone(), 1) => manager.stopping(drain_timeout),
            () = handing_over(member.as_ref()) => {}
        }
    };
    host.run(stop, nth(signals.clone(), 2)).await;
    let is_told_to_stop = *signals.borrow() > 0;
    let hands_over = member.is_some_and(|member| member.is_handing_over());
    Ok(match hands_over && !is_told_to_stop {
        true => HostEnd::HandedOver,
        false => HostEnd::Stopped,
    })
}

/// Completes when this host is to give its lease to another one.
async fn handing_over(member: Option<&ClusterMember>) {
    match member {
        Some(member) => member.handing_over().await,
        None => std::future::pending().await,
    }
}

/// What a standby is told by signals.
struct StandbySignals<'a, S> {
    stop: S,
    reload: &'a mut ReloadSignals,
}

/// Waits as a standby until this host may become active, and has its journals. Returns the configuration as it is then.
/// `None`: it was told to stop before.
async fn stand_by(
    loaded: &Loaded,
    file: Option<PathBuf>,
    manager: &Arc<ServiceManager>,
    signals: StandbySignals<'_, impl Future<Output = ()>>,
) -> Result<Option<(Loaded, ActiveMember)>, Error> {
    let Some(cluster) = &loaded.config.cluster else {
        return Ok(None);
    };
    let standby = Standby::start(&loaded.config, cluster, end_without_lease);
    let standby = standby.await.map_err(Error::failed)?;
    let readiness = standby.readiness(file.clone()).map_err(Error::failed)?;
    manager.ready();
    let alive = tokio::spawn(keep_alive(Arc::clone(manager), Vec::new()));
    let audit = AuditLog::new(loaded.config.log.audit_file.as_deref());
    let mut reported = None;
    let read_config = || read_again(loaded, file.as_deref(), &mut reported);
    let active = tokio::select! {
        active = standby.run(signals.stop, read_config) => active,
        never = check_readiness(readiness, signals.reload, manager, audit) => match never {},
    };
    alive.abort();
    active.map_err(Error::failed)
}

/// Checks at the start, now and then, and when a signal asks for a reload, whether a standby could take over.
async fn check_readiness(
    readiness: Readiness,
    signals: &mut ReloadSignals,
    manager: &ServiceManager,
    audit: AuditLog,
) -> Infallible {
    readiness.check().await;
    loop {
        tokio::select! {
            () = sleep(READINESS_INTERVAL) => drop(readiness.check().await),
            () = signals.next() => {
                manager.reloading();
                let obstacle = readiness.check().await;
                match &obstacle {
                    None => log::info!("the configuration is valid, and this standby reads it again when it becomes active"),
                    Some(reason) => log::error!("this standby could not become active with the files as they are now: {reason}"),
                }
                record_reload(&audit, obstacle.is_none()).await;
                manager.ready();
            }
        }
    }
}

async fn record_reload(audit: &AuditLog, is_done: bool) {
    let record = AuditRecord::of_signal(ReloadSignals::NAME, "reload", is_done);
    let audit = audit.clone();
    // A panic is in the log.
    drop(spawn_blocking(move || audit.record(&record)).await);
}

/// The configuration as it is now: a standby may have waited for long. The lease and the lock of the state folder are those of
/// the start. `reported` is why the configuration was not used, as the log has it.
fn read_again(loaded: &Loaded, file: Option<&Path>, reported: &mut Option<String>) -> Loaded {
    let is_same = |read: &Loaded| {
        read.config.cluster == loaded.config.cluster
            && read.config.state_dir == loaded.config.state_dir
    };
    let reason = match tokio::task::block_in_place(|| config::load(file)) {
        Ok(read) if is_same(&read) => return read,
        Ok(_) => "`cluster` or `state_dir` have changed, which needs a restart".to_owned(),
        Err(error) => format!("the configuration has mistakes: {error}"),
    };
    if reported.as_ref() != Some(&reason) {
        log::error!(
            "this host becomes active with the configuration that it started with: {reason}"
        );
        *reported = Some(reason);
    }
    loaded.clone()
}

/// Ends the process because another host may be active. Nothing is drained: this process may not write any
/// more.
fn end_without_lease(reason: &str) {
    log::error!("this host has lost the lease of its cluster, and ends: {reason}");
    // Code that plugins have registered runs at the exit, and may not return.
    thread::spawn(|| {
        thread::sleep(LAST_WORDS);
        abort();
    });
    logging::flush();
    exit(Exit::LeaseLost.code().into());
}

/// Tells the watchdog that the host works: the async workers run this, and the threads for
/// blocking work and the journals answer.
async fn keep_alive(manager: Arc<ServiceManager>, journals: Vec<Arc<dyn Journal>>) {
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
