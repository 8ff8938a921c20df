//! Alert batches: each row is an alert.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, builder::StringBuilder};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{
    AlertKey, Batch, BatchError, Labels, column,
    labels::{LabelColumn, LabelColumnBuilder, label_type},
    without_nulls,
};
use crate::kind::Kind;

/// Alerts: the text columns of [`TEXT_COLUMNS`], `occur_time` (milliseconds since the
/// Unix epoch) and `extra`, a map of other texts of the device.
#[derive(Clone, Debug)]
pub struct AlertBatch {
    arrow: RecordBatch,
    texts: [StringArray; TEXT_COLUMNS.len()],
    occur_times: ScalarBuffer<i64>,
    extras: LabelColumn,
}

/// One alert of a batch.
#[derive(Clone, Copy)]
pub struct Alert<'a> {
    batch: &'a AlertBatch,
    row: usize,
}

/// The columns of an alert batch.
#[must_use]
pub fn alert_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let texts = TEXT_COLUMNS.map(|name| Field::new(name, DataType::Utf8, true));
        let mut fields = Vec::from(texts);
        fields.push(Field::new("occur_time", DataType::Int64, false));
        fields.push(Field::new("extra", label_type(), false));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

impl AlertBatch {
    /// Each alert, in order.
    pub fn alerts(&self) -> impl ExactSizeIterator<Item = Alert<'_>> + Clone {
        (0..self.rows()).map(|row| Alert { batch: self, row })
    }
}

impl Batch for AlertBatch {
    const KIND: Kind = Kind::Alert;

    fn try_from_arrow(arrow: RecordBatch) -> Result<Self, BatchError> {
        let mut texts = TEXT_COLUMNS.map(|_| StringArray::new_null(0));
        for (text, name) in texts.iter_mut().zip(TEXT_COLUMNS) {
            *text = column::<StringArray>(&arrow, name, "Utf8")?.clone();
        }
        let times: &Int64Array = column(&arrow, "occur_time", "Int64")?;
        without_nulls(times, "occur_time")?;
        let extras: &dyn Array = arrow
            .column_by_name("extra")
            .ok_or(BatchError::Missing { column: "extra" })?;
        Ok(Self {
            texts,
            occur_times: times.values().clone(),
            extras: LabelColumn::new(extras, "extra")?,
            arrow,
        })
    }

    fn as_arrow(&self) -> &RecordBatch {
        &self.arrow
    }

    fn items(&self) -> u64 {
        self.rows() as u64
    }

    fn row_items(&self, _: usize) -> u64 {
        1
    }

    fn storage_id(&self, row: usize) -> Option<&str> {
        Alert { batch: self, row }.storage_id()
    }
}

macro_rules! text_columns {
    ($count:literal: $($index:literal $name:literal $method:ident),+ $(,)?) => {
        /// The text columns of an alert, in the order of the schema. A text may be
        /// null.
        pub const TEXT_COLUMNS: [&str; $count] = [$($name),+];

        /// The position of a column in [`TEXT_COLUMNS`].
        fn column_index(name: &str) -> Option<usize> {
            match name {
                $($name => Some($index),)+
                _ => None,
            }
        }

        impl<'a> Alert<'a> {
            $(
                #[doc = concat!("The column `", $name, "`, if the alert has it.")]
                #[must_use]
                pub fn $method(&self) -> Option<&'a str> {
                    let column = &self.batch.texts[$index];
                    column.is_valid(self.row).then(|| column.value(self.row))
                }
            )+
        }

        #[cfg(test)]
        #[test]
        fn each_accessor_reads_the_column_of_its_name() {
            let mut batch = AlertBatchBuilder::new();
            let texts = TEXT_COLUMNS.map(|name| (name, name));
            batch.alert(NewAlert { occur_time: 0, texts: &texts });
            let batch = batch.build();
            for alert in batch.alerts() {
                $(assert_eq!(alert.$method(), Some($name));)+
            }
        }
    };
}

text_columns!(16:
    0 "storage_id" storage_id,
    1 "storage_name" storage_name,
    2 "vendor" vendor,
    3 "model" model,
    4 "serial_number" serial_number,
    5 "alert_id" alert_id,
    6 "alert_name" alert_name,
    7 "sequence_number" sequence_number,
    8 "category" category,
    9 "severity" severity,
    10 "type" alert_type,
    11 "resource_type" resource_type,
    12 "location" location,
    13 "description" description,
    14 "recovery_advice" recovery_advice,
    15 "match_key" match_key,
);

impl<'a> Alert<'a> {
    /// When the fault or event occurred, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn occur_time(&self) -> i64 {
        self.batch.occur_times[self.row]
    }

    /// What identifies the alert.
    #[must_use]
    pub fn key(&self) -> AlertKey<'a> {
        AlertKey::of(self)
    }

    /// Texts of the device that have no column.
    #[must_use]
    pub fn extra(&self) -> Labels<'a> {
        self.batch.extras.row(self.row)
    }

    /// The name and the text of each column that the alert has.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &'a str)> + Clone + use<'a> {
        let row = self.row;
        TEXT_COLUMNS
            .into_iter()
            .zip(&self.batch.texts)
            .filter(move |(_, column)| column.is_valid(row))
            .map(move |(name, column)| (name, column.value(row)))
    }
}

impl std::fmt::Debug for Alert<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.texts())
            .entry(&"occur_time", &self.occur_time())
            .entry(&"extra", &self.extra())
            .finish()
    }
}

/// An alert to add to a batch.
#[derive(Clone, Copy, Debug)]
pub struct NewAlert<'a> {
    /// When the fault or event occurred, in milliseconds since the Unix epoch.
    pub occur_time: i64,
    /// Pairs of a name and a text. A name that is not in [`TEXT_COLUMNS`] goes into
    /// `extra`.
    pub texts: &'a [(&'a str, &'a str)],
}

/// Builds an alert batch, alert by alert.
#[derive(Debug)]
pub struct AlertBatchBuilder {
    texts: [StringBuilder; TEXT_COLUMNS.len()],
    occur_times: Vec<i64>,
    extras: LabelColumnBuilder,
}

impl Default for AlertBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl AlertBatchBuilder {
    /// A batch without an alert.
    #[must_use]
    pub fn new() -> Self {
        Self {
            // The default capacity is for 1024 rows, and most batches have a few alerts.
            texts: TEXT_COLUMNS.map(|_| StringBuilder::with_capacity(0, 0)),
            occur_times: Vec::new(),
            extras: LabelColumnBuilder::new(),
        }
    }

    /// Adds an alert. If it has a name twice, the last text counts.
    pub fn alert(&mut self, alert: NewAlert<'_>) {
        let mut texts = [None; TEXT_COLUMNS.len()];
        let mut extras = 0;
        for &(key, text) in alert.texts {
            match column_index(key) {
                Some(index) => texts[index] = Some(text),
                None => extras += 1,
            }
        }
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        if extras > 0 {
            self.add_extras(alert);
        }
        self.extras.end_row();
        self.occur_times.push(alert.occur_time);
    }

    fn add_extras(&mut self, alert: NewAlert<'_>) {
        let many = alert.texts.len() > 2 * TEXT_COLUMNS.len();
        let by_name: Option<HashMap<&str, &str>> =
            many.then(|| alert.texts.iter().copied().collect());
        let last = |name: &str| match &by_name {
            Some(by_name) => by_name.get(name).copied(),
            None => {
                let mut texts = alert.texts.iter().rev();
                texts.find_map(|&(key, text)| (key == name).then_some(text))
            }
        };
        for &(key, text) in alert.texts {
            if column_index(key).is_none() && !self.extras.open_row_has(key) {
                self.extras.push(key, last(key).unwrap_or(text));
            }
        }
    }

    /// The number of alerts so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.occur_times.len()
    }

    /// The memory that the batch takes so far, in bytes, estimated from above.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let texts = self.texts.iter().map(|text| text.values_slice().len());
        let offsets = self.texts.len() * self.rows() * size_of::<i32>();
        // A buffer of texts grows to twice its size.
        let texts = 2 * (texts.sum::<usize>() + offsets);
        let times = self.occur_times.capacity() * size_of::<i64>();
        texts + times + self.extras.memory_bytes()
    }

    /// The batch. Its buffers are as large as its rows.
    #[must_use]
    pub fn build(mut self) -> AlertBatch {
        let texts = self
            .texts
            .iter_mut()
            .map(|text| Arc::new(text.finish()) as ArrayRef);
        let mut columns: Vec<ArrayRef> = texts.collect();
        columns.push(Arc::new(Int64Array::from(self.occur_times)));
        columns.push(self.extras.finish());
        columns.iter_mut().for_each(Array::shrink_to_fit);
        let built =
            RecordBatch::try_new(alert_schema(), columns).map_err(|error| error.to_string());
        match built.map(AlertBatch::try_from_arrow) {
            Ok(Ok(batch)) => batch,
            other => unreachable!("columns of the frozen types make a batch: {other:?}"),
        }
    }
}
