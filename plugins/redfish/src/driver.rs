//! The driver of one storage.
//!
//! Promises: the calls of one round of lists share one reading of the resources; the session ends
//! with the driver.

use std::{sync::Arc, time::Duration};

use delfin_plugin_api::{
    AlertBatch, Context, Failure, Host, PerformanceBatch,
    driver::{Capabilities, Driver, DriverFailure, DriverWindow, RegisteredStorage, StorageInfo},
};

use crate::{
    alerts::{AlertMemory, AlertRequest},
    client::{CallBudget, RedfishClient},
    config::RedfishConfig,
    resources::{self, ResourceTree},
    series::{self, MeasurementRequest, MeasurementState},
};

/// How long a reading of the resources answers further lists: the host asks for one kind after
/// another.
const FRESH: Duration = Duration::from_secs(60);

/// How long a reading of the resources says what to measure.
const KNOWN: Duration = Duration::from_secs(30 * 60);

pub(crate) struct RedfishDriver {
    storage_id: String,
    config: RedfishConfig,
    client: Arc<RedfishClient>,
    host: Host,
    tree: Option<Arc<ResourceTree>>,
    measurements: MeasurementState,
    alerts: AlertMemory,
}

impl RedfishDriver {
    fn budget<'a>(&self, call: &'a Context<'_>) -> CallBudget<'a> {
        CallBudget::of_call(call, self.config.max_requests)
    }

    /// The resources, read again if the last reading is older than `age`, or lacked a part of the
    /// service that answers now. A reading that fails leaves the last one.
    fn tree(
        &mut self,
        age: Duration,
        budget: &CallBudget<'_>,
    ) -> Result<Arc<ResourceTree>, Failure> {
        if let Some(tree) = &self.tree
            && tree.read_at.elapsed() < age
            && !tree.can_be_completed(&self.client, budget)?
        {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(ResourceTree::read(&self.client, budget)?);
        self.tree = Some(Arc::clone(&tree));
        Ok(tree)
    }
}

impl Driver for RedfishDriver {
    const ACCESS: &'static [&'static str] = &["rest"];
    const INTERVAL: Option<Duration> = Some(Duration::from_secs(60));

    fn open(
        storage: RegisteredStorage,
        host: &Host,
        _: &Context<'_>,
    ) -> Result<Self, DriverFailure> {
        let config = RedfishConfig::read(&storage)?;
        Ok(Self {
            client: Arc::new(RedfishClient::new(&config)?),
            host: host.clone(),
            storage_id: storage.id,
            config,
            tree: None,
            measurements: MeasurementState::default(),
            alerts: AlertMemory::default(),
        })
    }

    fn identify(&mut self, call: &Context<'_>) -> Result<StorageInfo, DriverFailure> {
        let budget = self.budget(call);
        let tree = self.tree(FRESH, &budget)?;
        Ok(resources::storage_info(&tree, self.client.authority())?)
    }

    fn capabilities(&mut self, _: &Context<'_>) -> Result<Capabilities, DriverFailure> {
        Ok(series::capabilities())
    }

    fn collect(
        &mut self,
        window: DriverWindow,
        call: &Context<'_>,
    ) -> Result<PerformanceBatch, DriverFailure> {
        let budget = self.budget(call);
        let tree = self.tree(KNOWN, &budget)?;
        let request = MeasurementRequest {
            tree: &tree,
            storage_id: &self.storage_id,
            client: &self.client,
            budget: &budget,
            window,
        };
        Ok(self.measurements.collect(&request)?)
    }

    fn list_alerts(
        &mut self,
        window: Option<DriverWindow>,
        call: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        let budget = self.budget(call);
        let tree = self.tree(KNOWN, &budget)?;
        let request = AlertRequest {
            tree: &tree,
            client: &self.client,
            budget: &budget,
            max_age: self.config.max_alert_age,
        };
        if self.config.events {
            self.alerts.start_stream(&self.host, &request)?;
        }
        Ok(self.alerts.list(window, &request)?)
    }

    fn clear_alert(
        &mut self,
        sequence_number: &str,
        call: &Context<'_>,
    ) -> Result<(), DriverFailure> {
        let budget = self.budget(call);
        self.alerts.clear(sequence_number, &self.client, &budget)
    }

    fn list_resources(
        &mut self,
        kind: &str,
        call: &Context<'_>,
    ) -> Result<Vec<serde_json::Value>, DriverFailure> {
        let budget = self.budget(call);
        let tree = self.tree(FRESH, &budget)?;
        resources::list(&tree, kind)
    }

    fn close(&mut self, call: &Context<'_>) -> Result<(), DriverFailure> {
        self.client.log_out(&self.budget(call));
        Ok(())
    }
}
