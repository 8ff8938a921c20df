//! The parts of a stream, joined to one batch.

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};

use crate::{batch, ingest::IngestError};

/// A batch that can be copied, row by row, to the builder of a larger one.
pub(super) trait JoinedBatch: Batch {
    type Builder: Default;

    fn copy_rows(&self, builder: &mut Self::Builder) -> Result<(), IngestError>;

    fn memory_bytes(builder: &Self::Builder) -> usize;

    fn build(builder: Self::Builder) -> Self;
}

/// The parts so far. One part alone is kept as it is: its columns are slices of the body.
/// Of several parts the rows are copied, because each part has its own dictionaries and
/// only the builder merges them.
#[derive(Default)]
pub(super) enum Parts<B: JoinedBatch> {
    #[default]
    None,
    One(B),
    Copied(B::Builder),
}

impl<B: JoinedBatch> Parts<B> {
    pub(super) fn add(&mut self, part: B) -> Result<(), IngestError> {
        *self = match std::mem::take(self) {
            Self::None => Self::One(part),
            Self::One(first) if part.rows() == 0 => Self::One(first),
            Self::One(first) => {
                let mut builder = B::Builder::default();
                first.copy_rows(&mut builder)?;
                part.copy_rows(&mut builder)?;
                Self::Copied(builder)
            }
            Self::Copied(mut builder) => {
                part.copy_rows(&mut builder)?;
                Self::Copied(builder)
            }
        };
        Ok(())
    }

    /// The memory of the rows that were copied.
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Copied(builder) => B::memory_bytes(builder),
        }
    }

    pub(super) fn join(self) -> Result<B, IngestError> {
        match self {
            Self::None => Ok(B::build(B::Builder::default())),
            // The body can have columns and rows that the batch does not have, and would
            // be kept with it.
            Self::One(part) if batch::is_mostly_unused(part.as_arrow()) => {
                let mut builder = B::Builder::default();
                part.copy_rows(&mut builder)?;
                Ok(B::build(builder))
            }
            Self::One(part) => Ok(part),
            Self::Copied(builder) => Ok(B::build(builder)),
        }
    }
}

impl JoinedBatch for PerformanceBatch {
    type Builder = PerformanceBatchBuilder;

    fn copy_rows(&self, builder: &mut Self::Builder) -> Result<(), IngestError> {
        for series in self.series() {
            builder.series(series.name(), series.labels(), series.points())?;
        }
        Ok(())
    }

    fn memory_bytes(builder: &Self::Builder) -> usize {
        builder.memory_bytes()
    }

    fn build(builder: Self::Builder) -> Self {
        builder.build()
    }
}

impl JoinedBatch for AlertBatch {
    type Builder = AlertBatchBuilder;

    fn copy_rows(&self, builder: &mut Self::Builder) -> Result<(), IngestError> {
        for alert in self.alerts() {
            let mut texts: Vec<(&str, &str)> = alert.texts().collect();
            texts.extend(alert.extra());
            builder.alert(NewAlert {
                occur_time: alert.occur_time(),
                texts: &texts,
            });
        }
        Ok(())
    }

    fn memory_bytes(builder: &Self::Builder) -> usize {
        builder.memory_bytes()
    }

    fn build(builder: Self::Builder) -> Self {
        builder.build()
    }
}
