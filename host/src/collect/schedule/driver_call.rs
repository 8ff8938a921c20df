//! Driver calls. Each call has a thread of its own that ends with the call.
//!
//! A storage without a call costs no thread. The host does not join these threads:
//! when a caller stops waiting for a call that hangs, its thread and its driver stay
//! behind.

use std::thread;

use tokio::sync::oneshot;

use crate::{
    collect::{
        driver::{Capabilities, Driver, DriverError},
        drivers::UnknownDriver,
        storage_info::StorageInfo,
    },
    panics::contained,
};

/// A driver without a call in progress.
pub(in crate::collect) struct IdleDriver(Box<dyn Driver>);

/// A new driver, and what it reports about itself and its storage.
pub(in crate::collect) struct OpenDriver {
    pub(in crate::collect) driver: IdleDriver,
    pub(in crate::collect) info: StorageInfo,
    pub(in crate::collect) capabilities: Capabilities,
}

/// Why a driver call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverCallError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The plugin with the driver is missing.
    #[error(transparent)]
    Unknown(#[from] UnknownDriver),
    /// The driver has a bug.
    #[error("driver panicked (report it to its author)")]
    Panicked,
}

/// Creates a driver and asks the storage for its identity.
pub(in crate::collect) async fn open(
    storage: &str,
    make: impl FnOnce() -> Result<Box<dyn Driver>, DriverError> + Send + 'static,
) -> Result<OpenDriver, DriverCallError> {
    let work = move || {
        let mut driver = make()?;
        let info = driver.storage()?;
        let capabilities = driver.capabilities()?;
        Ok(OpenDriver {
            driver: IdleDriver(driver),
            info,
            capabilities,
        })
    };
    on_thread(storage, work).await?
}

impl IdleDriver {
    /// Calls the driver. Returns the driver with the result, but not after a panic: its
    /// state may be inconsistent.
    pub(super) async fn call<T: Send + 'static>(
        self,
        storage: &str,
        call: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError> + Send + 'static,
    ) -> (Option<Self>, Result<T, DriverCallError>) {
        let mut driver = self.0;
        let work = move || {
            let result = call(driver.as_mut());
            (Self(driver), result)
        };
        match on_thread(storage, work).await {
            Ok((driver, result)) => (Some(driver), result.map_err(DriverCallError::from)),
            Err(error) => (None, Err(error)),
        }
    }
}

async fn on_thread<T: Send + 'static>(
    storage: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DriverCallError> {
    let (reply, result) = oneshot::channel();
    thread::Builder::new()
        .name(format!("collect {storage}"))
        .spawn(move || drop(reply.send(contained(work))))
        .map_err(|error| DriverError::Unavailable {
            reason: format!("cannot start a thread for the call: {error}"),
        })?;
    result.await.map_err(|_| DriverCallError::Panicked)
}
