//! The driver of one storage, opened on demand.
//!
//! Knows nothing of intervals and destinations.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delfin_plugin_api::{AlertBatch, PerformanceBatch};

use super::{
    config::CollectConfig,
    driver_call::{self, DriverCallError, IdleDriver},
    stats::SharedStats,
};
use crate::collect::{
    builder::{AlertBuilder, SeriesBuilder, StorageLabels},
    driver::{Capabilities, Driver, DriverError, DriverOptions, DriverTarget, TimeWindow},
    drivers::DriverRegistry,
    resource::{ResourceKind, ResourceList},
    storage_info::StorageInfo,
};

/// Opens the driver of a storage at the first call, and again after a panic.
pub(super) struct DriverSession {
    storage_id: String,
    /// Replaces the storage's own name.
    name: Option<String>,
    vendor: String,
    model: String,
    interval: Option<Duration>,
    options: DriverOptions,
    registry: DriverRegistry,
    stats: SharedStats,
    open: Option<IdentifiedDriver>,
}

/// An open driver, and what it reported about its storage.
struct IdentifiedDriver {
    driver: IdleDriver,
    labels: Arc<StorageLabels>,
    capabilities: Capabilities,
}

impl DriverSession {
    pub(super) fn new(
        config: &CollectConfig,
        registry: DriverRegistry,
        stats: SharedStats,
    ) -> Self {
        Self {
            storage_id: config.id.clone(),
            name: config.name.clone(),
            vendor: config.vendor.clone(),
            model: config.model.clone(),
            interval: config.schedule.performance,
            options: config.options.clone(),
            registry,
            stats,
            open: None,
        }
    }

    /// Closes the driver. The next call opens it with these options.
    pub(super) fn set_options(&mut self, options: DriverOptions) {
        self.options = options;
        self.open = None;
    }

    /// Asks the storage again for its identity; later batches have the new one.
    pub(super) async fn identify(&mut self) -> Result<StorageInfo, DriverCallError> {
        self.opened().await?;
        let info = self.call(|driver| driver.storage()).await?;
        let labels = self.labels(info);
        if let Some(open) = &mut self.open {
            open.labels = Arc::clone(&labels);
        }
        Ok(labels.info.clone())
    }

    pub(super) async fn clear_alert(
        &mut self,
        sequence_number: String,
    ) -> Result<(), DriverCallError> {
        self.opened().await?;
        self.call(move |driver| driver.clear_alert(&sequence_number))
            .await
    }

    pub(super) async fn capabilities(&mut self) -> Result<&Capabilities, DriverCallError> {
        Ok(&self.opened().await?.capabilities)
    }

    pub(super) async fn collect(
        &mut self,
        window: TimeWindow,
    ) -> Result<PerformanceBatch, DriverCallError> {
        let labels = Arc::clone(&self.opened().await?.labels);
        self.call(move |driver| {
            let mut series = SeriesBuilder::new(&labels);
            driver.collect(window, &mut series)?;
            Ok(series.build())
        })
        .await
    }

    pub(super) async fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
    ) -> Result<AlertBatch, DriverCallError> {
        self.build_alerts(move |driver, alerts| driver.list_alerts(range, alerts))
            .await
    }

    pub(super) async fn list_resources(
        &mut self,
        kind: ResourceKind,
    ) -> Result<ResourceList, DriverCallError> {
        self.opened().await?;
        self.call(move |driver| Ok(ResourceList::new(kind, driver.list_resources(kind)?)))
            .await
    }

    pub(super) async fn parse_trap(
        &mut self,
        variables: BTreeMap<String, String>,
    ) -> Result<AlertBatch, DriverCallError> {
        self.build_alerts(move |driver, alerts| driver.parse_trap(&variables, alerts))
            .await
    }

    /// Lets the driver add alerts to a batch.
    async fn build_alerts(
        &mut self,
        add: impl FnOnce(&mut dyn Driver, &mut AlertBuilder) -> Result<(), DriverError> + Send + 'static,
    ) -> Result<AlertBatch, DriverCallError> {
        let opened = self.opened().await?;
        let labels = Arc::clone(&opened.labels);
        let identity = opened.capabilities.alert_identity.clone();
        self.call(move |driver| {
            let mut alerts = AlertBuilder::new(&labels, &identity);
            add(driver, &mut alerts)?;
            Ok(alerts.build())
        })
        .await
    }

    /// Calls the open driver. A driver that panics is dropped; the next call opens a new one.
    async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut dyn Driver) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverCallError> {
        let Some(open) = self.open.take() else {
            return Err(DriverCallError::Panicked);
        };
        let (driver, result) = open.driver.call(&self.storage_id, call).await;
        self.open = driver.map(|driver| IdentifiedDriver { driver, ..open });
        result
    }

    async fn opened(&mut self) -> Result<&IdentifiedDriver, DriverCallError> {
        let driver = match self.open.take() {
            Some(driver) => driver,
            None => self.open().await?,
        };
        Ok(self.open.insert(driver))
    }

    async fn open(&mut self) -> Result<IdentifiedDriver, DriverCallError> {
        // A reload may have found the plugin with the driver.
        let factory = self.registry.factory(&self.vendor, &self.model)?;
        let (id, options) = (self.storage_id.clone(), self.options.clone());
        let interval = self.interval;
        let make = move || {
            factory(&DriverTarget {
                storage_id: &id,
                interval,
                options: &options,
            })
        };
        let opened = driver_call::open(&self.storage_id, make).await?;
        Ok(IdentifiedDriver {
            driver: opened.driver,
            labels: self.labels(opened.info),
            capabilities: opened.capabilities,
        })
    }

    /// The labels that follow from what the storage reported.
    fn labels(&self, mut info: StorageInfo) -> Arc<StorageLabels> {
        if let Some(name) = &self.name {
            info.name.clone_from(name);
        }
        self.stats.lock().info = Some(info.clone());
        let id = self.storage_id.clone();
        Arc::new(StorageLabels { id, info })
    }
}
