//! The exporter of performance batches: a page that Prometheus scrapes.

pub mod config;
mod encode;
mod outcome;
pub mod server;
pub mod state;

use std::sync::Arc;

use delfin_plugin_api::{
    Batch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, log,
    time::{millis, now_ms},
};

use self::{
    config::PageConfig,
    server::{CurrentPage, PageListener, PageServer},
    state::LatestSamples,
};

/// Shows the latest sample of each series on a page of its own.
pub(crate) struct PerformanceExporterPrometheus {
    /// `None` after `close`.
    running: Option<RunningPage>,
}

struct RunningPage {
    samples: LatestSamples,
    current: Arc<CurrentPage>,
    host: Host,
    /// Stops when it is dropped.
    _server: PageServer,
}

impl Exporter for PerformanceExporterPrometheus {
    type Batch = PerformanceBatch;
    type Config = PageConfig;

    /// Two instances cannot share the port and the state file.
    const EXCLUSIVE: bool = true;

    fn check(config: PageConfig) -> Outcome {
        Ok(PageListener::check(&config)?)
    }

    fn create(config: PageConfig, host: &Host) -> Result<Self, Failure> {
        let listener = PageListener::open(&config)?;
        let expiration = millis(config.metric_expiration);
        let samples = LatestSamples::open(host.state_dir(), expiration, now_ms());
        let current = Arc::new(CurrentPage::default());
        current.set(samples.page());
        match listener.address() {
            Ok(address) => {
                log::info!(address:%, tls = config.tls.is_some(), login = config.login.is_some(); "scrape page is open")
            }
            Err(error) => return Err(Failure::retry(error)),
        }
        if config.login.is_some() && config.tls.is_none() && !config.listen.ip().is_loopback() {
            log::warn!(
                "the password of the scrape page is sent unencrypted (set `tls_certificate` and `tls_key`)"
            );
        }
        let clock = samples.clock();
        let server = PageServer::start(listener, &config, Arc::clone(&current), clock, host)?;
        Ok(Self {
            running: Some(RunningPage {
                samples,
                current,
                host: host.clone(),
                _server: server,
            }),
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
        let Some(running) = &mut self.running else {
            return Err(Failure::fatal("the scrape page is closed"));
        };
        let now = running.samples.clock().now_ms();
        let collisions = running.samples.add_batch(batch, now);
        if collisions > 0 {
            running.host.count("name_collisions", collisions);
        }
        running.current.set(running.samples.page());
        log::debug!(series = batch.rows(), points = batch.items(); "batch added to the page");
        Ok(())
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        if let Some(running) = &mut self.running {
            let now = running.samples.clock().now_ms();
            if running.samples.maintain(now) {
                running.current.set(running.samples.page());
            }
        }
        Ok(())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.running = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
