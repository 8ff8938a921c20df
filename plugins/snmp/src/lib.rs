//! An exporter that sends alerts as SNMP notifications.
//!
//! Promises: an alert is delivered when the receiver has acknowledged its inform; those of a
//! storage are sent in order. A trap has no acknowledgement.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, export_plugin, log,
};

use crate::{client::SnmpClient, config::Config, encode::NotificationEncoder};

export_plugin! {
    "AlertExporterSnmp" => AlertExporterSnmp: "Sends alerts as SNMP informs or traps",
}

struct AlertExporterSnmp {
    client: SnmpClient,
    encoder: NotificationEncoder,
}

impl Exporter for AlertExporterSnmp {
    type Batch = AlertBatch;
    type Config = Config;

    /// Receivers refuse traps of version 3 from an engine whose clock seems to go back.
    const EXCLUSIVE: bool = true;

    /// Bounds the time of a call.
    const MAX_POINTS: Option<u64> = Some(1000);

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            encoder: NotificationEncoder::new(config.enterprise_number),
            client: SnmpClient::new(config, host)?,
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let parts: Vec<_> = context.parts().collect();
        let notifications = self.encoder.encode_batch(batch, &parts, context.origin());
        let outcome = self.client.send(notifications, context.remaining());
        log::debug!(rows = batch.rows(); "alerts sent");
        outcome
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.client.close();
        Ok(())
    }
}
