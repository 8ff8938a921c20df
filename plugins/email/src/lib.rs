//! An exporter that sends alerts by email.
//!
//! Promises: an alert is delivered when the server has accepted its mail; the mails of an alert
//! are one thread; a mail that is sent again has the same id.

mod client;
mod config;
pub mod encode;
mod outcome;

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, export_plugin, log,
};

use crate::{client::SmtpClient, config::Config, encode::MailEncoder};

export_plugin! {
    "AlertExporterEmail" => AlertExporterEmail: "Sends alerts by email",
}

struct AlertExporterEmail {
    client: SmtpClient,
    encoder: MailEncoder,
}

impl Exporter for AlertExporterEmail {
    type Batch = AlertBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    /// Bounds the mails of a call, and the alerts of a digest.
    const MAX_POINTS: Option<u64> = Some(500);

    fn check(config: Config) -> Result<(), Failure> {
        SmtpClient::new(config.server).map(drop)
    }

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self {
            client: SmtpClient::new(config.server)?,
            encoder: MailEncoder::new(config.mail),
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
        let mails = self.encoder.encode(batch, &parts, context.origin())?;
        let outcome = self.client.send(&mails, batch.rows(), context.remaining());
        log::debug!(rows = batch.rows(), mails = mails.len(); "mails sent");
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
