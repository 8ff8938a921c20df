//! Series of other monitoring systems: bodies of their protocols to performance batches.
//!
//! A protocol has names and labels of its own. Mapping files say which storage and which resource a
//! series is of; see [`SeriesMappings`]. A series that no rule gives a storage is refused by itself.
//!
//! Values stay as they are, cumulative counters too: a rate would need the value before, of each series, also after a
//! restart and for clients that send again. The label `value_type` says which series are counters.
//!
//! Knows nothing of HTTP.

mod captured;
mod line_protocol;
mod mapped;
mod mapping;
mod otlp;
mod read_error;
mod remote_write;
mod source;
mod writer;

pub use captured::{CapturedBody, captured_format};
pub use line_protocol::LinePrecision;
pub use mapped::{MappedSeries, MappingResult};
pub use mapping::SeriesMappings;
pub use otlp::OtlpEncoding;
pub use remote_write::RemoteWriteMessage;
pub use source::SourceSeries;
pub use writer::{ParsedSeries, SeriesWriter, SkipCounts, SkipReason};

use crate::{
    config::{InputsConfig, SeriesInputConfig},
    ingest::IngestError,
};

/// A protocol that brings series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeriesInput {
    RemoteWrite,
    Otlp,
    Influxdb,
}

/// What a decompressed body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeriesFormat {
    RemoteWrite(RemoteWriteMessage),
    /// The answer of Prometheus to a query, which has the series that it would send.
    QueryAnswer,
    Otlp(OtlpEncoding),
    LineProtocol {
        precision: LinePrecision,
        /// Bucket or database, for mappings.
        bucket: String,
    },
}

impl SeriesFormat {
    /// Adds the series of a body.
    ///
    /// # Errors
    ///
    /// The body is something else, or a limit is exceeded.
    pub fn read(self, body: &[u8], writer: &mut SeriesWriter<'_>) -> Result<(), IngestError> {
        match self {
            Self::RemoteWrite(message) => remote_write::read(message, body, writer),
            Self::QueryAnswer => remote_write::read_query_answer(body, writer),
            Self::Otlp(encoding) => otlp::read(encoding, body, writer),
            Self::LineProtocol { precision, bucket } => {
                line_protocol::read(precision, &bucket, body, writer)
            }
        }
    }
}

impl SeriesInput {
    pub const ALL: [Self; 3] = [Self::RemoteWrite, Self::Otlp, Self::Influxdb];

    #[must_use]
    pub fn config(self, inputs: &InputsConfig) -> &SeriesInputConfig {
        match self {
            Self::RemoteWrite => &inputs.remote_write,
            Self::Otlp => &inputs.otlp,
            Self::Influxdb => &inputs.influxdb,
        }
    }

    /// The name in the configuration, in metrics and in errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::Otlp => "otlp",
            Self::Influxdb => "influxdb",
        }
    }
}
