//! An exporter of messages. The plugin brings the client of its receiver.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{EncodedMessage, MessageBatch, MessageSettings, MessageWriter};
use crate::{Batch, Context, Exporter, Failure, Host, Outcome};

/// Sends messages to a receiver.
pub trait MessageClient: Sized + Send + 'static {
    /// How it connects.
    type Config;

    /// Checks a configuration further than its type does, and connects to nothing.
    ///
    /// # Errors
    ///
    /// As of [`Exporter::check`].
    fn check(config: Self::Config) -> Outcome;

    /// Makes a client, which connects with the first batch.
    ///
    /// # Errors
    ///
    /// As of [`Exporter::create`].
    fn new(config: Self::Config, host: &Host) -> Result<Self, Failure>;

    /// Sends the messages of a call with this number of rows.
    ///
    /// # Errors
    ///
    /// As of [`Exporter::export`].
    fn send(&mut self, messages: Vec<EncodedMessage>, rows: usize, time: Duration) -> Outcome;

    /// Checks that the receiver answers.
    ///
    /// # Errors
    ///
    /// As of [`Exporter::health`].
    fn health(&mut self, time: Duration) -> Outcome;

    /// Ends the connection.
    fn close(&mut self);
}

/// The settings of an exporter of messages.
pub trait MessageConfig: DeserializeOwned {
    /// The kind of batches.
    type Batch: MessageBatch;
    /// The client of the receiver.
    type Client: MessageClient;

    /// How the client connects, and how messages are written.
    fn into_parts(self) -> (<Self::Client as MessageClient>::Config, MessageSettings);
}

/// Writes batches as messages, and sends them.
#[derive(Debug)]
pub struct MessageExporter<C: MessageConfig> {
    client: C::Client,
    writer: MessageWriter<C::Batch>,
    host: Host,
}

impl<C: MessageConfig + 'static> Exporter for MessageExporter<C> {
    type Batch = C::Batch;
    type Config = C;

    const EXCLUSIVE: bool = false;

    /// Bounds the messages that are encoded before they are sent.
    const MAX_POINTS: Option<u64> = Some(200_000);

    fn check(config: C) -> Outcome {
        C::Client::check(config.into_parts().0)
    }

    fn create(config: C, host: &Host) -> Result<Self, Failure> {
        let (client, messages) = config.into_parts();
        Ok(Self {
            client: C::Client::new(client, host)?,
            writer: MessageWriter::new(messages, host.exporter()),
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &C::Batch, context: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        if context.cancelled() {
            return Err(Failure::retry("the host is stopping"));
        }
        let encoded = self.writer.encode(batch, context)?;
        let time = context.remaining();
        let outcome = self.client.send(encoded.messages, batch.rows(), time);
        // Counted after delivery: a retry encodes the same rows again.
        if outcome.is_ok() {
            encoded.skipped.count(&self.host);
        }
        log::debug!(rows = batch.rows(), items = batch.items(); "batch sent");
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
