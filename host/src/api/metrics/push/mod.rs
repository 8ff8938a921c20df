//! Pushes the metrics of the host over OTLP.
//!
//! Promises: a push delays nothing else. One that fails is counted and logged, and the next one has
//! all that it would have brought, because the metrics are cumulative.

mod encode;
mod page;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use delfin_plugin_api::{http::Client, protobuf::ProtobufWriter};
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{config::OtlpPushConfig, panics};

/// How long a push may take.
const TIMEOUT: Duration = Duration::from_secs(10);

const PATH: &str = "/v1/metrics";

/// Pushes since the start of the host, by result.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct PushCounts(Family<[(&'static str, &'static str); 1], Counter>);

/// What one push needs.
struct Pusher {
    client: Client,
    config: OtlpPushConfig,
    registry: Arc<Registry>,
    /// Since when the counters count, in nanoseconds since the Unix epoch.
    start_ns: u64,
}

impl PushCounts {
    pub(in crate::api) fn register(&self, registry: &mut Registry) {
        registry.register(
            "metrics_pushes",
            "Pushes of the metrics of the host, by result",
            self.0.clone(),
        );
        for result in ["ok", "failed"] {
            drop(self.0.get_or_create(&[("result", result)]));
        }
    }

    fn count(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.0.get_or_create(&[("result", result)]).inc();
    }
}

/// Pushes the metrics at the interval, for as long as the host runs.
pub(in crate::api) async fn push_metrics(
    config: OtlpPushConfig,
    registry: Arc<Registry>,
    counts: PushCounts,
) {
    let url = config.url.redacted.clone();
    config.client.warn_of_plain_credentials(&config.url.url);
    let client = match Client::new(&config.client) {
        Ok(client) => client,
        Err(failure) => {
            log::error!(url; "cannot push metrics: {failure} (correct `[metrics.otlp]`, and restart the host)");
            return;
        }
    };
    let mut interval = interval(config.interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pusher = Arc::new(Pusher {
        client,
        config,
        registry,
        start_ns: now_ns(),
    });
    let mut is_failing = false;
    loop {
        interval.tick().await;
        let pusher = Arc::clone(&pusher);
        let pushed = panics::spawn_blocking(move || pusher.push()).await;
        let pushed = pushed.unwrap_or_else(|error| Err(error.to_string()));
        counts.count(pushed.is_ok());
        match (&pushed, is_failing) {
            (Ok(()), true) => log::info!(url; "metrics are pushed again"),
            (Ok(()), false) => {}
            (Err(error), true) => log::debug!(url; "cannot push metrics: {error}"),
            (Err(error), false) => {
                log::warn!(url; "cannot push metrics: {error} (the next push has them)");
            }
        }
        is_failing = pushed.is_err();
    }
}

impl Pusher {
    fn push(&self) -> Result<(), String> {
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        let mut request = ProtobufWriter::default();
        encode::write_request(
            &page::families(&page),
            self.start_ns,
            now_ns(),
            &mut request,
        );
        let shown = &self.config.url.redacted;
        let sent = self
            .client
            .post(&format!("{}{PATH}", self.config.url.url))
            .header("content-type", "application/x-protobuf")
            .send(request.as_bytes(), TIMEOUT);
        let response = sent.map_err(|error| error.failure(shown).to_string())?;
        if response.is_success() {
            return Ok(());
        }
        Err(response.message(shown))
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
