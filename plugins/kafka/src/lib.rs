//! Exporters that send to Apache Kafka.
//!
//! Promises: a row is reported as delivered when all in-sync replicas have its
//! message; rows of one storage arrive in order; a row that can never be sent
//! does not stop the delivery of the others.

mod client;
mod config;
pub mod encode;
mod outcome;

use std::time::Duration;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::{CallTime, KafkaClient, SendCall},
    config::Config,
    encode::KafkaBatch,
};

export_plugin! {
    "PerformanceExporterKafka" => KafkaExporter<PerformanceBatch>: "Sends series to a topic of Apache Kafka",
    "AlertExporterKafka" => KafkaExporter<AlertBatch>: "Sends alerts to a topic of Apache Kafka",
}

struct KafkaExporter<B> {
    client: KafkaClient<B>,
    host: Host,
}

impl<B: KafkaBatch> Exporter for KafkaExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    fn check(config: Config<B>) -> Outcome {
        Ok(client::check(&config)?)
    }

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        config.properties.warn_of_plain_credentials();
        Ok(Self {
            client: KafkaClient::new(config)?,
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let remaining = || remaining(context);
        let call = SendCall {
            time: CallTime::new(&remaining),
            parts: context.parts().collect(),
            origin: context.origin().as_str(),
        };
        let (skipped, outcome) = self.client.send(batch, &call);
        if context.attempt() == 1 {
            skipped.count(&self.host);
        }
        outcome?;
        log::debug!(rows = batch.rows(), items = batch.items(); "batch delivered");
        Ok(())
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        let remaining = || remaining(context);
        self.client.health(&CallTime::new(&remaining))
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        self.client.tick();
        Ok(())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.client.close();
        Ok(())
    }
}

/// Time left for the call. When the host is stopping, only what is needed to get
/// messages back from librdkafka.
fn remaining(context: &Context<'_>) -> Duration {
    let remaining = context.remaining();
    if context.cancelled() {
        return remaining.min(client::MARGIN);
    }
    remaining
}
