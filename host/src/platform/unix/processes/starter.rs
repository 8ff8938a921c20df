//! The thread that starts processes.
//!
//! The kernel ends a process when the thread that has started it ends. So one thread starts
//! all of them, which never ends. It is not the main thread: see `registry.rs`.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread,
};

use tokio::sync::oneshot;

use super::ignored_signals;

type Job = Box<dyn FnOnce() + Send>;

static STARTER: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// Runs work on the thread.
///
/// # Errors
///
/// Of the work, or the system cannot start the thread.
pub(super) async fn on_starter<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (reply, done) = oneshot::channel();
    let job = Box::new(move || drop(reply.send(work())));
    let sent = starter()?.send(job);
    let gone = || io::Error::other("the thread that starts processes has ended");
    sent.map_err(|_| gone())?;
    done.await.map_err(|_| gone())?
}

fn starter() -> io::Result<Sender<Job>> {
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(starter) = &*starter {
        return Ok(starter.clone());
    }
    ignored_signals::restore_child();
    let (jobs, received) = channel::<Job>();
    let thread = thread::Builder::new().name("starter".to_owned());
    thread.spawn(move || received.into_iter().for_each(|job| job()))?;
    Ok(starter.insert(jobs).clone())
}
