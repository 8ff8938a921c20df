//! The exporter of performance batches.

use std::sync::Arc;

use delfin_plugin_api::{Batch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, log};

use super::{
    config::Config,
    latest::Latest,
    server::{Port, Server, Shown, millis, now_millis},
};

/// Shows the latest sample of each series on a page of its own.
pub(crate) struct PerformanceExporterPrometheus {
    open: Option<Open>,
}

struct Open {
    latest: Latest,
    shown: Arc<Shown>,
    _server: Server,
}

impl Exporter for PerformanceExporterPrometheus {
    type Batch = PerformanceBatch;
    type Config = Config;

    /// It has a port and a file.
    const EXCLUSIVE: bool = true;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        let port = Port::open(&config)?;
        let expiration = millis(config.metric_expiration);
        let latest = Latest::open(host.state_dir(), expiration, now_millis());
        let shown = Arc::new(Shown::default());
        shown.set(latest.page());
        match port.address() {
            Ok(address) => {
                log::info!(address:%, tls = config.tls.is_some(), login = config.login.is_some(); "scrape page is open")
            }
            Err(error) => return Err(Failure::retry(error)),
        }
        if config.login.is_some() && config.tls.is_none() && !config.listen.ip().is_loopback() {
            log::warn!(
                "the password of the scrape page crosses the network unencrypted: set `tls_certificate` and `tls_key`"
            );
        }
        let server = Server::start(port, &config, Arc::clone(&shown), host)?;
        Ok(Self {
            open: Some(Open {
                latest,
                shown,
                _server: server,
            }),
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
        let Some(open) = &mut self.open else {
            return Err(Failure::fatal("the scrape page is closed"));
        };
        open.latest.take(batch, now_millis());
        open.shown.set(open.latest.page());
        log::debug!(series = batch.rows(), points = batch.items(); "batch is on the page");
        Ok(())
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        if let Some(open) = &mut self.open
            && open.latest.tidy(now_millis())
        {
            open.shown.set(open.latest.page());
        }
        Ok(())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.open = None;
        Ok(())
    }
}
