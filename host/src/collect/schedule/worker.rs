//! A driver on a thread of its own.
//!
//! Calls go to it one after the other. Nobody ever waits for the thread itself:
//! when the worker is dropped, the thread ends with the call that it is in, and
//! a call that never returns leaves it behind.

use std::{sync::mpsc, thread};

use tokio::sync::oneshot;

use crate::collect::{
    driver::{Driver, DriverError, Options, StorageInfo},
    drivers::Factory,
};

type Call = Box<dyn FnOnce(&mut dyn Driver) + Send>;

/// A thread that has a driver.
pub(super) struct Worker {
    calls: mpsc::Sender<Call>,
}

/// What a driver says of itself and its storage at first.
pub(super) struct Opened {
    pub(super) info: StorageInfo,
    pub(super) is_historic: bool,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("driver panicked (report it to its author)")]
    Panicked,
}

impl Worker {
    /// Starts the thread, makes the driver and asks it about its storage.
    pub(super) fn open(
        storage: &str,
        factory: Factory,
        options: Options,
    ) -> Result<(Self, oneshot::Receiver<Result<Opened, DriverError>>), DriverError> {
        let (calls, received) = mpsc::channel::<Call>();
        let (reply, opened) = oneshot::channel();
        let id = storage.to_owned();
        let work = move || {
            let mut driver = match factory(&id, &options) {
                Ok(driver) => driver,
                Err(error) => return drop(reply.send(Err(error))),
            };
            let opened = driver.storage().map(|info| Opened {
                info,
                is_historic: driver.capabilities().is_historic,
            });
            // Without somebody who waits for this there will be no calls either.
            drop(reply.send(opened));
            for call in received {
                call(driver.as_mut());
            }
        };
        thread::Builder::new()
            .name(format!("collect {storage}"))
            .spawn(work)
            .map_err(|error| DriverError::Unavailable {
                reason: format!("cannot start a thread for it: {error}"),
            })?;
        Ok((Self { calls }, opened))
    }

    /// Hands a call to the thread; its result comes out of the channel, or the
    /// channel closes because the driver panicked.
    pub(super) fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, DriverError>> {
        let (reply, result) = oneshot::channel();
        let call: Call = Box::new(move |driver| drop(reply.send(call(driver))));
        // A thread that is gone drops the call, and with it the reply.
        drop(self.calls.send(call));
        result
    }
}

impl From<oneshot::error::RecvError> for CallError {
    fn from(_: oneshot::error::RecvError) -> Self {
        Self::Panicked
    }
}
