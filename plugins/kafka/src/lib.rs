//! Exporters that send to Apache Kafka.
//!
//! Promises: a row is reported as delivered when all in-sync replicas have its
//! message; rows of one storage arrive in order; a row that can never be sent
//! costs no other its delivery.

mod client;
mod config;
mod deliver;
mod encode;
mod fates;
mod secret;
mod trouble;

use std::time::Duration;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::Time,
    config::Config,
    deliver::{Call, Deliverer},
    encode::Encode,
};

export_plugin! {
    "PerformanceExporterKafka" => KafkaExporter<PerformanceBatch>: "Sends series to a topic of Apache Kafka",
    "AlertExporterKafka" => KafkaExporter<AlertBatch>: "Sends alerts to a topic of Apache Kafka",
}

struct KafkaExporter<B> {
    deliverer: Deliverer<B>,
    host: Host,
}

impl<B: Encode> Exporter for KafkaExporter<B> {
    type Batch = B;
    type Config = Config<B>;

    fn create(config: Config<B>, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            deliverer: Deliverer::new(config)?,
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let remaining = || remaining(context);
        let call = Call {
            time: Time::new(&remaining),
            parts: context.parts().collect(),
            origin: context.origin().as_str(),
        };
        let (skipped, outcome) = self.deliverer.deliver(batch, &call);
        if context.attempt() == 1 {
            skipped.count(&self.host);
        }
        outcome?;
        log::debug!(rows = batch.rows(), items = batch.items(); "batch delivered");
        Ok(())
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        let remaining = || remaining(context);
        self.deliverer.health(&Time::new(&remaining))
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        self.deliverer.tick();
        Ok(())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.deliverer.close();
        Ok(())
    }
}

/// How much time there is: little, when the host is about to stop.
fn remaining(context: &Context<'_>) -> Duration {
    let remaining = context.remaining();
    if context.cancelled() {
        return remaining.min(client::MARGIN);
    }
    remaining
}

// Not in `encode`: the benchmark includes that file as it is.
#[cfg(test)]
#[path = "encode/tests.rs"]
mod encode_tests;
