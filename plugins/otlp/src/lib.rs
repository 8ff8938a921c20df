//! Exporters that send metrics and logs over OTLP, the protocol of OpenTelemetry.
//!
//! Promises: a row is delivered when the receiver has accepted all its points, or its alert; each
//! storage is a resource.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
    protobuf::ProtobufWriter,
};

use crate::{
    client::{OtlpClient, check},
    config::Config,
    encode::OtlpBatch,
};

export_plugin! {
    "PerformanceExporterOtlp" => OtlpExporter<PerformanceBatch>: "Sends points over OTLP as metrics, to an OpenTelemetry Collector or another receiver",
    "AlertExporterOtlp" => OtlpExporter<AlertBatch>: "Sends alerts over OTLP as logs, to an OpenTelemetry Collector or another receiver",
}

/// Bytes of the buffer to keep from one batch to the next.
const BUFFER_BYTES: usize = 8 << 20;

struct OtlpExporter<B> {
    client: OtlpClient,
    request: ProtobufWriter,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: OtlpBatch> Exporter for OtlpExporter<B> {
    type Batch = B;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// About as many as a Collector puts into a request by default.
    const MAX_POINTS: Option<u64> = Some(8_000);

    fn check(config: Config) -> Outcome {
        check(&config)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            client: OtlpClient::new::<B>(config, host)?,
            request: ProtobufWriter::default(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        self.request.clear(BUFFER_BYTES);
        let encoded = batch.encode(&mut self.request);
        let outcome = if encoded.items == 0 {
            Ok(())
        } else {
            let sent = self
                .client
                .send(self.request.as_bytes(), context.remaining());
            sent.and_then(|accepted| accepted.outcome(batch.rows(), encoded.items))
        };
        match &outcome {
            // Counted after delivery: a retry encodes the same rows again.
            Ok(()) | Err(Failure::Partial { .. }) if encoded.skipped_times > 0 => {
                self.host.count("times_out_of_range", encoded.skipped_times);
            }
            Ok(()) | Err(_) => {}
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.send(b"", context.remaining()).map(drop)
    }
}
