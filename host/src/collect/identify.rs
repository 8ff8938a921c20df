//! Asks a storage for its identity before the host collects from it.

use super::{
    driver::{DriverOptions, DriverTarget},
    drivers::DriverFactory,
    schedule::{DriverCallError, driver_call},
    storage_info::StorageInfo,
};

/// Opens a driver and asks the storage for its name, model and serial number.
///
/// # Errors
///
/// The driver rejects its options, or the storage does not answer.
pub async fn identify(
    factory: DriverFactory,
    storage_id: String,
    options: DriverOptions,
) -> Result<StorageInfo, DriverCallError> {
    let name = storage_id.clone();
    let make = move || {
        factory(&DriverTarget {
            storage_id: &storage_id,
            interval: None,
            options: &options,
        })
    };
    Ok(driver_call::open(&name, make).await?.info)
}
