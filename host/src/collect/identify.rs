//! Asking a storage who it is, before it is collected from.

use super::{
    driver::{Options, StorageInfo},
    drivers::Factory,
    schedule::{CallError, worker},
};

/// Makes a driver for a storage and asks it who the storage is.
///
/// # Errors
///
/// The driver refuses its options, or the storage does not answer.
pub async fn identify(
    factory: Factory,
    storage_id: String,
    options: Options,
) -> Result<StorageInfo, CallError> {
    let name = storage_id.clone();
    let opened = worker::open(&name, move || factory(&storage_id, &options)).await?;
    Ok(opened.info)
}
