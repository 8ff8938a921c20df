//! Batches as messages with names.

use std::marker::PhantomData;

use super::{
    MessageBatch, MessageRow, MessageSettings, Payload,
    route::{MessageRoute, routes},
};
use crate::{BatchPart, Context, Failure, Skipped};

/// A message to send.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedMessage {
    /// The subject, topic or stream.
    pub name: String,
    /// An id, the same in each attempt with the same rows. Two exporters, and a replay, have
    /// different ids for the same rows.
    pub id: String,
    /// The id of the accepted batch.
    pub batch_id: String,
    /// The media type of the payload.
    pub content_type: &'static str,
    /// Where the rows come from.
    pub origin: &'static str,
    /// The rows.
    pub payload: Vec<u8>,
    /// The numbers of the rows in the call.
    pub rows: Vec<usize>,
}

/// The messages of a call.
#[derive(Debug, Default)]
pub struct EncodedMessages {
    /// In the order in which they are sent. Those of one name are in the order of their rows.
    pub messages: Vec<EncodedMessage>,
    /// What the format cannot express.
    pub skipped: Skipped,
}

/// Writes batches as messages.
#[derive(Debug)]
pub struct MessageWriter<B> {
    settings: MessageSettings,
    exporter: String,
    buffer: Vec<u8>,
    batches: PhantomData<fn(B)>,
}

/// What the messages of a route have in common.
struct MessageSource<'a> {
    part: Option<&'a BatchPart<'a>>,
    batch_id: String,
    origin: &'static str,
}

impl<B: MessageBatch> MessageWriter<B> {
    /// An encoder for the exporter with this name.
    #[must_use]
    pub fn new(settings: MessageSettings, exporter: &str) -> Self {
        Self {
            settings,
            exporter: exporter.to_owned(),
            buffer: Vec::new(),
            batches: PhantomData,
        }
    }

    /// The messages of a batch.
    ///
    /// # Errors
    ///
    /// Rows that cannot be written.
    pub fn encode(&mut self, batch: &B, context: &Context<'_>) -> Result<EncodedMessages, Failure> {
        let parts: Vec<_> = context.parts().collect();
        self.encode_parts(batch, &parts, context.origin().as_str())
    }

    /// Like [`encode`](Self::encode), without a call: for benchmarks.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encode_parts(
        &mut self,
        batch: &B,
        parts: &[BatchPart<'_>],
        origin: &'static str,
    ) -> Result<EncodedMessages, Failure> {
        let rows = batch.all();
        let mut encoded = EncodedMessages::default();
        for route in routes(&rows, &self.settings.name, parts) {
            let own: Vec<_> = route.rows.iter().map(|&row| rows[row]).collect();
            let part = parts.get(route.part);
            let batch_id = part.map(|part| part.batch_id.to_string());
            let source = MessageSource {
                part,
                batch_id: batch_id.unwrap_or_default(),
                origin,
            };
            self.encode_route(&own, &route, &source, &mut encoded)?;
        }
        Ok(encoded)
    }

    fn encode_route<'a, R: MessageRow<'a>>(
        &mut self,
        rows: &[R],
        route: &MessageRoute,
        source: &MessageSource<'_>,
        encoded: &mut EncodedMessages,
    ) -> Result<(), Failure> {
        let Self {
            settings, exporter, ..
        } = self;
        let limits = settings.limits;
        let EncodedMessages { messages, skipped } = encoded;
        let take = |(range, payload): Payload<'_>| {
            let payload = payload.map_err(Failure::rejected)?;
            let rows = &route.rows[range];
            messages.push(EncodedMessage {
                name: route.name.clone(),
                id: source.id(exporter, rows),
                batch_id: source.batch_id.clone(),
                content_type: settings.format.content_type(),
                origin: source.origin,
                payload: payload.to_vec(),
                rows: rows.to_vec(),
            });
            Ok(())
        };
        *skipped += settings
            .format
            .encode(rows, limits, &mut self.buffer, take)?;
        Ok(())
    }
}

impl MessageSource<'_> {
    /// The rows between the first and the last one with the name of the message are all in it,
    /// so that both identify it.
    fn id(&self, exporter: &str, rows: &[usize]) -> String {
        let in_batch = |row: &usize| {
            let part = self.part;
            part.map_or(*row, |part| part.batch_row + row - part.first_row)
        };
        let [first, last] = [rows.first(), rows.last()].map(|row| row.map_or(0, in_batch));
        let Self {
            batch_id, origin, ..
        } = self;
        format!("{exporter}:{origin}:{batch_id}:{first}-{last}")
    }
}

/// Divides messages into groups of at most `count`, and of `bytes` unless a single message is
/// larger, for a receiver that acknowledges several at once.
pub fn groups(
    messages: &[EncodedMessage],
    count: usize,
    bytes: usize,
) -> impl Iterator<Item = &[EncodedMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut total = 0;
        let fits = |message: &&EncodedMessage| {
            total += message.payload.len();
            total <= bytes
        };
        let fitting = rest.iter().take(count).take_while(fits).count();
        let (group, behind) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = behind;
        (!group.is_empty()).then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PerformanceBatch, PerformanceBatchBuilder, Uuid,
        message::{MessageRules, WrittenMessages},
        setting::Mistakes,
        template::TemplateRules,
    };

    const RULES: MessageRules = MessageRules {
        key: "topic",
        default: "s.{storage_id}",
        bytes: 1024,
        template: TemplateRules {
            character: Some,
            empty: "_",
            max_value_bytes: 100,
            check: |_| Ok(()),
        },
    };

    #[test]
    fn a_message_has_rows_of_one_name_and_an_id_that_stays_the_same() {
        let written = WrittenMessages::default();
        let mut mistakes = Mistakes::default();
        let settings = MessageSettings::read::<PerformanceBatch>(written, &RULES, &mut mistakes);
        let mut encoder = MessageWriter::new(settings, "e");
        let mut batch = PerformanceBatchBuilder::new();
        for storage in ["a", "", "a"] {
            let labels = [("storage_id", storage)];
            batch.series("iops", labels, [(1, f64::NAN)]).unwrap();
        }
        let batch = batch.build();
        let part = BatchPart {
            batch_id: Uuid::nil(),
            first_row: 0,
            batch_row: 5,
            rows: 3,
            accepted_ms: 0,
            storage_id: None,
            complete: false,
        };
        let mut encode = || encoder.encode_parts(&batch, &[part], "ingest").unwrap();
        let encoded = encode();
        let found: Vec<_> = encoded
            .messages
            .iter()
            .map(|message| (&*message.name, &*message.id, &*message.rows))
            .collect();
        let [first, second] = ["5-7", "6-6"].map(|rows| format!("e:ingest:{}:{rows}", Uuid::nil()));
        assert_eq!(
            found,
            [("s.a", &*first, &[0, 2][..]), ("s._", &*second, &[1])]
        );
        assert_eq!(encoded.skipped.non_finite_points, 3);
        assert_eq!(encode().messages, encoded.messages);
    }

    #[test]
    fn groups_have_a_limit_of_messages_and_of_bytes() {
        let message = |length: usize| EncodedMessage {
            name: String::new(),
            id: String::new(),
            batch_id: String::new(),
            content_type: "",
            origin: "",
            payload: vec![0; length],
            rows: Vec::new(),
        };
        let messages = [1, 1, 1, 9, 30, 1].map(message);
        let lengths: Vec<_> = groups(&messages, 2, 10).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 2, 1, 1]);
        assert_eq!(groups(&[], 2, 10).count(), 0);
    }
}
