//! Drivers whose storage says in its options what they do when they should measure.

use std::{process, thread, time::Duration};

use delfin_plugin_api::{
    Context, Failure, Host, PerformanceBatch, PerformanceBatchBuilder,
    driver::{
        Capabilities, Driver, DriverFailure, DriverWindow, MetricInfo, RegisteredStorage,
        StorageInfo,
    },
    log,
};

/// `SECONDS` is the longest time of a call.
pub(crate) struct ScriptedDriver<const SECONDS: u64> {
    storage: RegisteredStorage,
    host: Host,
}

impl<const SECONDS: u64> Driver for ScriptedDriver<SECONDS> {
    const INTERVAL: Option<Duration> = Some(Duration::from_secs(1));
    const TIMEOUT: Duration = Duration::from_secs(SECONDS);

    fn open(
        storage: RegisteredStorage,
        host: &Host,
        _: &Context<'_>,
    ) -> Result<Self, DriverFailure> {
        let host = host.clone();
        Ok(Self { storage, host })
    }

    fn identify(&mut self, _: &Context<'_>) -> Result<StorageInfo, DriverFailure> {
        Ok(StorageInfo {
            name: self.storage.id.clone(),
            serial_number: "sn".to_owned(),
            ..StorageInfo::default()
        })
    }

    /// With the mode `windows`, the storage knows the past.
    fn capabilities(&mut self, _: &Context<'_>) -> Result<Capabilities, DriverFailure> {
        let iops = MetricInfo {
            name: "iops".to_owned(),
            unit: "IOPS".to_owned(),
            description: String::new(),
        };
        Ok(Capabilities {
            is_historic: self.mode() == "windows",
            metrics: [("volume".to_owned(), vec![iops])].into(),
            ..Capabilities::default()
        })
    }

    fn collect(
        &mut self,
        window: DriverWindow,
        call: &Context<'_>,
    ) -> Result<PerformanceBatch, DriverFailure> {
        let access = self.storage.access("rest");
        let password = access.map(|rest| rest.password).unwrap_or_default();
        match self.mode() {
            "panic" => panic!("the password is {password}"),
            "exit" => process::exit(3),
            "hang" => loop {
                thread::sleep(Duration::from_secs(3600));
            },
            "slow" => {
                while !call.cancelled() {
                    thread::sleep(Duration::from_millis(1));
                }
                return Err(Failure::retry("cancelled").into());
            }
            "login" => {
                log::warn!("login with {password}");
                return Err(Failure::Unauthorized {
                    message: format!("the password {password} is wrong"),
                }
                .into());
            }
            "memory" => {
                let mut memory: Vec<Vec<u8>> = Vec::new();
                loop {
                    memory.push(vec![1; 1 << 20]);
                }
            }
            _ => {}
        }
        log::debug!("measures a window");
        self.host.count("measurements", 1);
        let series = self.storage.options.get("series");
        let series = series.and_then(|series| series.as_u64());
        let point = match self.mode() {
            // A test compares the windows.
            "windows" => (window.start_ms, window.end_ms as f64),
            _ => (window.end_ms - 1, 1.5),
        };
        let mut batch = PerformanceBatchBuilder::new();
        for number in 0..series.unwrap_or(1) {
            let id = format!("v{number}");
            let labels = [
                ("resource_type", "volume"),
                ("resource_id", &id),
                ("unit", "IOPS"),
            ];
            let added = batch.series("iops", labels, [point]);
            added.map_err(Failure::rejected)?;
        }
        Ok(batch.build())
    }
}

impl<const SECONDS: u64> ScriptedDriver<SECONDS> {
    fn mode(&self) -> &str {
        let mode = self.storage.options.get("mode");
        let mode = mode.or_else(|| self.storage.extra("mode"));
        mode.and_then(|mode| mode.as_str()).unwrap_or_default()
    }
}
