//! Sends batches to the brokers.
//!
//! Promises: when the outcome is known, no message is in flight any more; messages
//! that are too large for the brokers are made smaller, down to single rows.

mod connect;
mod events;
mod producer;
mod round;
mod tls;

use delfin_plugin_api::{BatchPart, Outcome, Skipped, log, message::MessageLimits};

pub(crate) use self::producer::{CallTime, MARGIN};
use self::{
    producer::KafkaProducer,
    round::{KeyGroup, SendRound, group_by_key},
};
use crate::{
    config::{BROKERS, Config},
    encode::KafkaBatch,
    outcome::{RowResults, SendError, SendErrorKind},
};

/// Messages are not made smaller than this: below it, the size of messages is not
/// what the brokers object to.
const MIN_MESSAGE_BYTES: usize = 1024;

pub(crate) struct KafkaClient<B> {
    config: Config<B>,
    /// The configured limits, lowered when brokers find messages too large.
    limits: MessageLimits,
    /// `None` after a fatal error, and after the limits were lowered.
    producer: Option<KafkaProducer>,
    buffer: Vec<u8>,
}

/// What one `export` call says about its rows.
pub(crate) struct SendCall<'a> {
    pub(crate) time: CallTime<'a>,
    pub(crate) parts: Vec<BatchPart<'a>>,
    pub(crate) origin: &'static str,
}

/// Checks the properties, and the files that they name, without a connection.
pub(crate) fn check<B: KafkaBatch>(config: &Config<B>) -> Result<(), SendError> {
    let mut properties = config.properties.clone();
    properties.remove(BROKERS);
    KafkaProducer::new(&config.topic, &properties, config.limits.bytes).map(drop)
}

impl<B: KafkaBatch> KafkaClient<B> {
    /// Creates a producer, which checks the settings. It connects in the background.
    pub(crate) fn new(config: Config<B>) -> Result<Self, SendError> {
        let mut client = Self {
            limits: config.limits,
            producer: None,
            buffer: Vec::new(),
            config,
        };
        client.producer()?;
        Ok(client)
    }

    /// Sends a batch and waits for the result of each row.
    ///
    /// The batch is sent in rounds. A round sends the rows that are left, in
    /// messages of at most `limits.bytes`. If brokers find a message too large, the
    /// next round sends the rows again that are still open, in messages of half
    /// the size. Any other error ends the call: the host decides about retries.
    pub(crate) fn send(&mut self, batch: &B, call: &SendCall<'_>) -> (Skipped, Outcome) {
        let rows = batch.all();
        let mut groups = group_by_key(&rows);
        let mut results = RowResults::new(rows.len());
        let mut skipped = None;
        loop {
            match self.send_round(&rows, &groups, call, &mut results) {
                // Later rounds encode rows again, so only the first one counts.
                Ok(round) => skipped = skipped.or(Some(round)),
                Err(error) => return (Skipped::default(), Err(error.into())),
            }
            for group in &mut groups {
                group.rows = results.rows_to_resend(&group.rows);
            }
            let worst = results.worst_error().filter(|worst| worst.is_retriable());
            let Some(worst) = worst.cloned() else {
                break;
            };
            let smaller = worst.kind == SendErrorKind::TooLarge && self.lower_limit(&worst);
            if !smaller || call.time.is_short() {
                for group in &groups {
                    results.fail_others(&group.rows, &worst);
                }
                break;
            }
            for group in &groups {
                results.set_unsent(&group.rows);
            }
        }
        (skipped.unwrap_or_default(), results.outcome())
    }

    /// Lets librdkafka report what happened since the last call.
    pub(crate) fn tick(&mut self) {
        if let Some(producer) = &mut self.producer {
            producer.poll_events();
        }
    }

    /// Checks that a broker answers.
    pub(crate) fn health(&mut self, time: &CallTime<'_>) -> Outcome {
        Ok(self.producer()?.fetch_metadata(time.left())?)
    }

    /// Closes the connections.
    pub(crate) fn close(&mut self) {
        self.producer = None;
    }

    fn producer(&mut self) -> Result<&mut KafkaProducer, SendError> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => {
                let Config {
                    topic, properties, ..
                } = &self.config;
                KafkaProducer::new(topic, properties, self.limits.bytes)?
            }
        };
        Ok(self.producer.insert(producer))
    }

    /// Sends the rows of the groups once, and enters their results.
    fn send_round<'a>(
        &mut self,
        rows: &[B::Row<'a>],
        groups: &[KeyGroup<'_>],
        call: &SendCall<'_>,
        results: &mut RowResults,
    ) -> Result<Skipped, SendError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (format, limits) = (self.config.format, self.limits);
        let producer = self.producer()?;
        producer.start_round();
        let mut round = SendRound {
            producer,
            call,
            format,
            limits,
            groups,
            results,
            sent: Vec::new(),
        };
        let skipped = round.send(rows, &mut buffer);
        let fatal = round.finish();
        self.buffer = buffer;
        if let Some(error) = fatal {
            log::warn!(reason = error.reason; "fatal producer error, creating a new producer");
            self.producer = None;
        }
        Ok(skipped)
    }

    /// Halves the size of messages, unless they are as small as they get.
    fn lower_limit(&mut self, error: &SendError) -> bool {
        let bytes = self.limits.bytes / 2;
        if bytes < MIN_MESSAGE_BYTES {
            return false;
        }
        log::warn!(bytes, reason = error.reason; "messages are too large for the brokers, sending smaller ones (set `message_bytes`)");
        self.limits.bytes = bytes;
        // `batch.size` bounds what librdkafka sends to a broker in one request, and
        // cannot change while a producer lives.
        self.producer = None;
        true
    }
}

#[cfg(test)]
mod tests;
