//! Calls of a driver, each on a thread of its own that ends with the call.
//!
//! A storage that is not being asked costs no thread, and a call that never
//! returns costs its own: nobody waits for a thread itself. Whoever stops
//! waiting leaves the driver behind.

use std::thread;

use tokio::sync::oneshot;

use crate::collect::driver::{Driver, DriverError, Offer, StorageInfo};

/// A driver that is not being called.
pub(in crate::collect) struct Idle(Box<dyn Driver>);

/// What a driver says of itself and its storage at first.
pub(in crate::collect) struct Opened {
    pub(in crate::collect) driver: Idle,
    pub(in crate::collect) info: StorageInfo,
    pub(in crate::collect) offer: Offer,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The driver could not do it.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The driver has a mistake.
    #[error("driver panicked (report it to its author)")]
    Panicked,
}

/// Makes a driver and asks it about its storage.
pub(in crate::collect) async fn open(
    storage: &str,
    make: impl FnOnce() -> Result<Box<dyn Driver>, DriverError> + Send + 'static,
) -> Result<Opened, CallError> {
    let work = move || {
        let mut driver = make()?;
        let info = driver.storage()?;
        let offer = driver.capabilities().to_owned();
        Ok(Opened {
            driver: Idle(driver),
            info,
            offer,
        })
    };
    on_thread(storage, work).await?
}

impl Idle {
    /// Calls the driver. It comes back with the result; not from a panic.
    pub(super) async fn call<T: Send + 'static>(
        self,
        storage: &str,
        call: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError> + Send + 'static,
    ) -> (Option<Self>, Result<T, CallError>) {
        let mut driver = self.0;
        let work = move || {
            let result = call(driver.as_mut());
            (Self(driver), result)
        };
        match on_thread(storage, work).await {
            Ok((driver, result)) => (Some(driver), result.map_err(CallError::from)),
            Err(error) => (None, Err(error)),
        }
    }
}

async fn on_thread<T: Send + 'static>(
    storage: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CallError> {
    let (reply, result) = oneshot::channel();
    thread::Builder::new()
        .name(format!("collect {storage}"))
        .spawn(move || drop(reply.send(work())))
        .map_err(|error| DriverError::Unavailable {
            reason: format!("cannot start a thread for it: {error}"),
        })?;
    result.await.map_err(|_| CallError::Panicked)
}
