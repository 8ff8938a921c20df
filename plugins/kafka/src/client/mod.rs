//! A producer of librdkafka's: takes messages, and says what became of each.
//!
//! Promises: a message that was taken gets one report, and no message outlives
//! [`Client::finish`]; a full queue is waited for. Nothing secret is logged.
//!
//! Knows nothing of batches.

mod watcher;

use std::time::Duration;

use delfin_plugin_api::log;
use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::OwnedHeaders,
    producer::{BaseProducer, BaseRecord, Producer, PurgeConfig},
    types::RDKafkaErrorCode as Code,
};

pub(crate) use self::watcher::Report;
use self::watcher::Watcher;
use crate::{
    config::Properties,
    trouble::{Kind, Trouble},
};

/// How long to wait for something to happen before looking at the time again.
const BLINK: Duration = Duration::from_millis(2);

/// What is left of a call when messages are taken back, for their reports.
pub(crate) const MARGIN: Duration = Duration::from_millis(500);

/// A connection to the brokers.
pub(crate) struct Client {
    producer: BaseProducer<Watcher>,
    topic: String,
    taken: usize,
    reports: Vec<Report>,
    /// Why messages were taken back, if they were.
    stopped: Option<Trouble>,
}

/// How much time there is.
pub(crate) struct Time<'a> {
    remaining: &'a dyn Fn() -> Duration,
    margin: Duration,
}

/// A message to send.
pub(crate) struct Message<'a> {
    /// Its number, which its report bears.
    pub(crate) number: usize,
    /// What decides on its partition.
    pub(crate) key: Option<&'a str>,
    /// Its content.
    pub(crate) payload: &'a [u8],
    /// When its rows were accepted.
    pub(crate) timestamp: i64,
    /// What its readers may want to know.
    pub(crate) headers: &'a OwnedHeaders,
}

impl Client {
    /// A client for that topic, that sends at most so many bytes at once,
    /// unless a message alone has more. Connects later.
    pub(crate) fn new(topic: &str, properties: &Properties, bytes: usize) -> Result<Self, Trouble> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in properties.iter() {
            if key == "debug" {
                config.set_log_level(RDKafkaLogLevel::Debug);
            }
            config.set(key, value);
        }
        config.set("batch.size", bytes.to_string());
        let secrets = properties.secrets().clone();
        let created = config.create_with_context(Watcher::new(secrets.clone()));
        let producer = created.map_err(|error: KafkaError| {
            let reason = match error {
                // Not the value: it may be a secret.
                KafkaError::ClientConfig(_, reason, key, _) => format!("`{key}`: {reason}"),
                KafkaError::ClientCreation(reason) => reason,
                error => error.to_string(),
            };
            Trouble::new(Kind::Misconfigured, secrets.scrub(&reason))
        })?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            taken: 0,
            reports: Vec::new(),
            stopped: None,
        })
    }

    /// Begins a round of messages.
    pub(crate) fn begin(&mut self) {
        self.idle();
        // What was wrong before may be right by now.
        self.watcher().take_lasting();
        self.stopped = None;
    }

    /// Takes a message. While the queue is full, waits.
    pub(crate) fn send(&mut self, message: &Message<'_>, time: &Time<'_>) -> Result<(), Trouble> {
        self.look(Duration::ZERO);
        let topic = self.topic.clone();
        let mut record = BaseRecord::with_opaque_to(&topic, message.number)
            .payload(message.payload)
            .timestamp(message.timestamp)
            .headers(message.headers.clone());
        record.key = message.key;
        loop {
            self.go_on(time);
            if let Some(stopped) = &self.stopped {
                return Err(stopped.clone());
            }
            let Err((error, back)) = self.producer.send(record) else {
                self.taken += 1;
                return Ok(());
            };
            if error.rdkafka_error_code() != Some(Code::QueueFull) {
                return Err(self.explained(Trouble::of_error(&error, &self.topic)));
            }
            record = back;
            self.look(BLINK);
        }
    }

    /// Waits for what became of each message that was taken; what the brokers
    /// have not acknowledged when there is no point in waiting is taken back.
    pub(crate) fn finish(&mut self, time: &Time<'_>) -> Result<Vec<Report>, Trouble> {
        while self.stopped.is_none() && self.open() > 0 {
            self.look(BLINK);
            if self.open() > 0 {
                self.go_on(time);
            }
        }
        if let Some(trouble) = &self.stopped {
            log::debug!(open = self.open(), reason = trouble.reason; "messages taken back");
            let everything = PurgeConfig::default().queue().inflight();
            self.producer.purge(everything);
            while self.open() > 0 && !time.is_over() {
                self.look(BLINK);
            }
        }
        let open = self.open();
        self.taken = 0;
        if open > 0 {
            let reason = "librdkafka does not give messages back";
            return Err(Trouble::new(Kind::Fatal, reason));
        }
        Ok(std::mem::take(&mut self.reports))
    }

    /// What a code in a report means, with the reason behind it.
    pub(crate) fn trouble(&self, code: Code) -> Trouble {
        let trouble = Trouble::of_code(code, &self.topic);
        match (code, &self.stopped) {
            (Code::PurgeQueue, Some(stopped)) => stopped.clone(),
            (Code::PurgeInflight, Some(stopped)) if stopped.kind > Kind::Unknown => stopped.clone(),
            (Code::PurgeInflight, Some(stopped)) => Trouble::new(
                Kind::Unknown,
                format!("sent, but not acknowledged: {}", stopped.reason),
            ),
            (_, _) => self.explained(trouble),
        }
    }

    /// Handles what happened meanwhile.
    pub(crate) fn idle(&mut self) {
        self.look(BLINK);
    }

    /// Why this client is beyond use, if it is.
    pub(crate) fn fatal(&self) -> Option<Trouble> {
        let (code, reason) = self.producer.client().fatal_error()?;
        let kind = Trouble::of_code(code, &self.topic).kind;
        let kind = match kind {
            Kind::Misconfigured | Kind::Unauthorized => kind,
            Kind::Refused
            | Kind::TooLarge
            | Kind::Away
            | Kind::Busy
            | Kind::Unknown
            | Kind::Fatal => Kind::Fatal,
        };
        Some(Trouble::new(kind, self.watcher().scrubbed(&reason)))
    }

    /// Whether a broker answers.
    pub(crate) fn ask(&self, patience: Duration) -> Result<(), Trouble> {
        let answer = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), patience);
        // Errors are events, and events are only seen when they are looked for.
        self.producer.poll(BLINK);
        let Err(error) = answer else {
            return Ok(());
        };
        let trouble = Trouble::of_error(&error, &self.topic);
        Err(self.explained(trouble))
    }

    /// Stops if there is no point in waiting.
    fn go_on(&mut self, time: &Time<'_>) {
        let trouble = self.fatal().or_else(|| self.watcher().take_lasting());
        let late = || self.explained(Trouble::new(Kind::Away, "no answer in time"));
        self.stopped = trouble.or_else(|| time.is_short().then(late));
    }

    fn open(&self) -> usize {
        self.taken - self.reports.len()
    }

    fn look(&mut self, patience: Duration) {
        self.producer.poll(patience);
        self.producer.context().take_reports(&mut self.reports);
    }

    /// Trouble with the reason that librdkafka gave before, if there is one:
    /// that a message was taken back says nothing about why.
    fn explained(&self, trouble: Trouble) -> Trouble {
        let Some(last) = self.watcher().last() else {
            return trouble;
        };
        match trouble.kind {
            Kind::Away => last,
            Kind::Refused
            | Kind::Unknown
            | Kind::TooLarge
            | Kind::Busy
            | Kind::Fatal
            | Kind::Misconfigured
            | Kind::Unauthorized => trouble,
        }
    }

    fn watcher(&self) -> &Watcher {
        self.producer.context()
    }
}

impl<'a> Time<'a> {
    /// As much as that says.
    pub(crate) fn new(remaining: &'a dyn Fn() -> Duration) -> Self {
        let margin = MARGIN.min(remaining() / 10);
        Self { remaining, margin }
    }

    /// How much is left, less what is needed to end well.
    pub(crate) fn left(&self) -> Duration {
        (self.remaining)().saturating_sub(self.margin)
    }

    /// Whether what is left is needed to end well.
    pub(crate) fn is_short(&self) -> bool {
        self.left().is_zero()
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        (self.remaining)().is_zero()
    }
}
