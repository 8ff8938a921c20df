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
use crate::{
    collect::{
        builder::{AlertBuilder, SeriesBuilder, StorageLabels},
        driver::{Capabilities, Driver, DriverError, DriverOptions, DriverTarget, TimeWindow},
        drivers::DriverRegistry,
        resource::{ResourceKind, ResourceList},
        resource_names::{ResourceNameSource, ResourceNames},
        static_labels::StaticLabels,
        storage_info::StorageInfo,
    },
    panics,
};

/// Opens the driver of a storage at the first call, and again after a panic.
pub(super) struct DriverSession {
    storage_id: String,
    /// Replaces the storage's own name.
    name: Option<String>,
    vendor: String,
    model: String,
    interval: Option<Duration>,
    options: Arc<DriverOptions>,
    name_source: ResourceNameSource,
    fixed: Arc<StaticLabels>,
    registry: DriverRegistry,
    stats: SharedStats,
    open: Option<IdentifiedDriver>,
}

/// An open driver, and what it reported about its storage.
struct IdentifiedDriver {
    driver: IdleDriver,
    labels: Arc<StorageLabels>,
    capabilities: Arc<Capabilities>,
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
            options: Arc::clone(&config.options),
            name_source: config.names.clone(),
            fixed: Arc::clone(&config.labels),
            registry,
            stats,
            open: None,
        }
    }

    /// Closes the driver. The next call opens it with these options.
    pub(super) fn set_options(&mut self, options: Arc<DriverOptions>) {
        self.options = options;
        self.open = None;
    }

    /// Later batches have these labels.
    pub(super) fn set_labels(&mut self, labels: Arc<StaticLabels>) {
        if let Some(open) = &mut self.open {
            Arc::make_mut(&mut open.labels).fixed = Arc::clone(&labels);
        }
        self.fixed = labels;
    }

    /// Reads the names of the resources again, if the driver is open.
    pub(super) async fn read_names(&mut self) {
        if self.open.is_none() {
            return;
        }
        let names = read(self.name_source.clone()).await;
        if let Some(open) = &mut self.open {
            Arc::make_mut(&mut open.labels).names = names;
        }
    }

    /// Asks the storage again for its identity; later batches have the new one.
    pub(super) async fn identify(&mut self) -> Result<StorageInfo, DriverCallError> {
        self.opened().await?;
        let info = self.call(|driver| driver.storage()).await?;
        let info = self.named(info);
        if let Some(open) = &mut self.open {
            Arc::make_mut(&mut open.labels).info = info.clone();
        }
        Ok(info)
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
        let (id, options) = (self.storage_id.clone(), Arc::clone(&self.options));
        let interval = self.interval;
        let make = move || {
            factory(&DriverTarget {
                storage_id: &id,
                interval,
                options: &options,
            })
        };
        let opened = driver_call::open(&self.storage_id, make).await?;
        let labels = StorageLabels {
            id: self.storage_id.clone(),
            info: self.named(opened.info),
            names: read(self.name_source.clone()).await,
            fixed: Arc::clone(&self.fixed),
        };
        Ok(IdentifiedDriver {
            driver: opened.driver,
            labels: Arc::new(labels),
            capabilities: self
                .registry
                .shared(&self.vendor, &self.model, opened.capabilities),
        })
    }

    /// What the storage reported, with the name that the operator gave it.
    fn named(&self, mut info: StorageInfo) -> StorageInfo {
        if let Some(name) = &self.name {
            info.name.clone_from(name);
        }
        self.stats.lock().info = Some(info.clone());
        info
    }
}

/// The names of the resources; none if they cannot be read.
async fn read(source: ResourceNameSource) -> Arc<ResourceNames> {
    let names = panics::spawn_blocking(move || source.read()).await;
    Arc::new(names.unwrap_or_default())
}
