//! A batch on its way to the brokers.
//!
//! Promises: when the outcome is known, no message is under way any more; what
//! is too large for the brokers is cut smaller, down to single rows.

mod round;

use delfin_plugin_api::{BatchPart, Outcome, Skipped, log};

use self::round::{Group, Round, grouped};
use crate::{
    client::{Client, Time},
    config::Config,
    encode::{Encode, Limits},
    fates::Fates,
    trouble::{Kind, Trouble},
};

/// Below this, smaller messages are no remedy for what is too large.
const SMALLEST: usize = 1024;

/// Sends batches, with one client after the other.
pub(crate) struct Deliverer<B> {
    config: Config<B>,
    /// How large messages may be, as far as the brokers have said.
    limits: Limits,
    client: Option<Client>,
    buffer: Vec<u8>,
}

/// One call.
pub(crate) struct Call<'a> {
    /// How much time there is.
    pub(crate) time: Time<'a>,
    /// What the rows were accepted as, in order.
    pub(crate) parts: Vec<BatchPart<'a>>,
    /// Where they came from.
    pub(crate) origin: &'static str,
}

impl<B: Encode> Deliverer<B> {
    /// With those settings. Connects later.
    pub(crate) fn new(config: Config<B>) -> Result<Self, Trouble> {
        let mut deliverer = Self {
            limits: config.limits,
            client: None,
            buffer: Vec::new(),
            config,
        };
        deliverer.client()?;
        Ok(deliverer)
    }

    /// Sends a batch, and waits until it is known what became of each row.
    pub(crate) fn deliver(&mut self, batch: &B, call: &Call<'_>) -> (Skipped, Outcome) {
        let rows = batch.all();
        let mut groups = grouped(&rows);
        let mut fates = Fates::new(rows.len());
        let mut skipped = None;
        loop {
            match self.round(&rows, &groups, call, &mut fates) {
                Ok(more) => skipped = skipped.or(Some(more)),
                Err(trouble) => return (Skipped::default(), Err(trouble.into())),
            }
            for group in &mut groups {
                group.rows = fates.open(&group.rows);
            }
            let worst = fates.worst().filter(|worst| worst.is_open()).cloned();
            let Some(worst) = worst else {
                break;
            };
            let cut = worst.kind == Kind::TooLarge && self.cut_smaller(&worst);
            if !cut || call.time.is_short() {
                for group in &groups {
                    fates.again(&group.rows, &worst);
                }
                break;
            }
            for group in &groups {
                fates.wait(&group.rows);
            }
        }
        (skipped.unwrap_or_default(), fates.outcome())
    }

    /// Handles what happened meanwhile.
    pub(crate) fn tick(&mut self) {
        if let Some(client) = &mut self.client {
            client.idle();
        }
    }

    /// Whether a broker answers.
    pub(crate) fn health(&mut self, time: &Time<'_>) -> Outcome {
        Ok(self.client()?.ask(time.left())?)
    }

    /// Gives the connections back.
    pub(crate) fn close(&mut self) {
        self.client = None;
    }

    fn client(&mut self) -> Result<&mut Client, Trouble> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let Config {
                    topic, properties, ..
                } = &self.config;
                Client::new(topic, properties, self.limits.bytes)?
            }
        };
        Ok(self.client.insert(client))
    }

    /// Sends the rows of the groups once, and notes what became of them.
    fn round<'a>(
        &mut self,
        rows: &[B::Row<'a>],
        groups: &[Group<'_>],
        call: &Call<'_>,
        fates: &mut Fates,
    ) -> Result<Skipped, Trouble> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (format, limits) = (self.config.format, self.limits);
        let client = self.client()?;
        client.begin();
        let mut round = Round {
            client,
            call,
            format,
            limits,
            groups,
            fates,
            sent: Vec::new(),
        };
        let sent = round.send(rows, &mut buffer);
        let beyond_use = round.finish();
        self.buffer = buffer;
        if let Some(trouble) = beyond_use {
            log::warn!(reason = trouble.reason; "the producer is beyond use, a new one takes its place");
            self.client = None;
        }
        Ok(sent)
    }

    /// Has smaller messages made from now on, if that is possible.
    fn cut_smaller(&mut self, trouble: &Trouble) -> bool {
        let bytes = self.limits.bytes / 2;
        if bytes < SMALLEST {
            return false;
        }
        log::warn!(bytes, reason = trouble.reason; "messages are too large for the brokers and are cut smaller (set `message_bytes`)");
        self.limits.bytes = bytes;
        // How much is sent at once is fixed for a producer's life.
        self.client = None;
        true
    }
}

#[cfg(test)]
mod tests;
