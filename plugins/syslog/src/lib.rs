//! An exporter that sends alerts to a syslog server.
//!
//! Promises: a batch over TCP or TLS is delivered when the receiver has read all of it
//! and closed the connection, unless the operator chose otherwise; a message is never
//! longer than the configured limit.

mod client;
mod config;
pub mod encode;

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, export_plugin, log,
};

use crate::{client::SyslogClient, config::Config, encode::MessageEncoder};

export_plugin! {
    "AlertExporterSyslog" => AlertExporterSyslog: "Sends alerts to a syslog server over TLS, TCP or UDP",
}

struct AlertExporterSyslog {
    client: SyslogClient,
    encoder: MessageEncoder,
    host: Host,
}

impl Exporter for AlertExporterSyslog {
    type Batch = AlertBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn check(config: Config) -> Outcome {
        SyslogClient::new(config).map(drop)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            encoder: MessageEncoder::new(
                config.facility,
                config.enterprise_number,
                config.max_message_bytes,
            ),
            client: SyslogClient::new(config)?,
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let mut shortened = 0;
        let messages = batch.alerts().map(|alert| {
            let message = self.encoder.encode(&alert);
            shortened += u64::from(message.is_shortened);
            message.bytes
        });
        self.client.send(messages, context.remaining())?;
        // Counted after delivery, so that a retry does not count again.
        if shortened > 0 {
            self.host.count("shortened_messages", shortened);
        }
        log::debug!(rows = batch.rows(), shortened; "batch sent");
        Ok(())
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        self.client.health(context.remaining())
    }

    fn close(&mut self, context: &Context<'_>) -> Outcome {
        self.client.close(context.remaining());
        Ok(())
    }
}
