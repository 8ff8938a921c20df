//! Events that stop this process: Ctrl-C, Ctrl-Break, the end of the console or of the system, and the stop of
//! the service. Not the end of a session: a service gets that of each user.

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
    },
};

use super::service::stop_requested;

/// Events that tell the process to stop.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: CtrlC,
    terminate: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl StopSignals {
    /// # Errors
    ///
    /// The system does not pass on events.
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            terminate: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
            () = stop_requested() => {}
        }
    }
}

/// No event tells the process to reload: `delfin-host reload` does.
#[derive(Debug)]
pub(crate) struct ReloadSignals;

impl ReloadSignals {
    /// The name of the signal.
    pub(crate) const NAME: &str = "reload";

    /// # Errors
    ///
    /// Never.
    pub(crate) const fn watch() -> io::Result<Self> {
        Ok(Self)
    }

    /// Never returns.
    pub(crate) async fn next(&mut self) {
        pending().await
    }
}

/// Tells a command that has no runtime that an event has stopped it.
#[derive(Debug)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// # Errors
    ///
    /// The system does not pass on events, or cannot start a thread.
    pub(crate) fn watch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let mut signals = {
            let _context = runtime.enter();
            StopSignals::watch()?
        };
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        thread::Builder::new().spawn(move || {
            runtime.block_on(signals.next());
            flag.store(true, Ordering::Relaxed);
        })?;
        Ok(Self(stopped))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
