//! Performance batches: each row is a series.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
    builder::StringBuilder,
    types::{ArrowPrimitiveType, Float64Type, Int64Type},
};
use arrow_buffer::{ArrowNativeType, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{
    Batch, BatchError, Labels, column, downcast,
    labels::{LabelColumn, LabelColumnBuilder, label_type},
    without_nulls,
};
use crate::kind::Kind;

/// The largest offset of an Arrow list, and the largest length of a column.
const MAX_OFFSET: usize = i32::MAX as usize;

/// Series of points. Each row is a series: `name`, `labels`, `timestamps` (milliseconds
/// since the Unix epoch) and `values`.
#[derive(Clone, Debug)]
pub struct PerformanceBatch {
    arrow: RecordBatch,
    names: StringArray,
    labels: LabelColumn,
    timestamps: ListColumn<i64>,
    values: ListColumn<f64>,
}

/// One series of a batch.
#[derive(Clone, Copy)]
pub struct Series<'a> {
    batch: &'a PerformanceBatch,
    row: usize,
}

/// The columns of a performance batch.
#[must_use]
pub fn performance_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let list = |item| DataType::List(Arc::new(Field::new("item", item, false)));
        Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, false),
            Field::new("labels", label_type(), false),
            Field::new("timestamps", list(DataType::Int64), false),
            Field::new("values", list(DataType::Float64), false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

impl PerformanceBatch {
    /// Each series, in order.
    pub fn series(&self) -> impl ExactSizeIterator<Item = Series<'_>> + Clone {
        (0..self.rows()).map(|row| Series { batch: self, row })
    }
}

impl Batch for PerformanceBatch {
    const KIND: Kind = Kind::Performance;

    fn try_from_arrow(arrow: RecordBatch) -> Result<Self, BatchError> {
        let names: &StringArray = column(&arrow, "name", "Utf8")?;
        without_nulls(names, "name")?;
        let labels: &dyn Array = arrow
            .column_by_name("labels")
            .ok_or(BatchError::Missing { column: "labels" })?;
        let labels = LabelColumn::new(labels, "labels")?;
        let timestamps = ListColumn::new::<Int64Type>(&arrow, "timestamps", "List<Int64>")?;
        let values = ListColumn::new::<Float64Type>(&arrow, "values", "List<Float64>")?;
        // Columns that were built together have equal offsets, and to compare whole
        // buffers is quick. Other columns need a look at each row.
        if timestamps.offsets != values.offsets {
            check_lengths(&timestamps, &values)?;
        }
        Ok(Self {
            names: names.clone(),
            labels,
            timestamps,
            values,
            arrow,
        })
    }

    fn as_arrow(&self) -> &RecordBatch {
        &self.arrow
    }

    fn items(&self) -> u64 {
        self.values.total() as u64
    }

    fn row_items(&self, row: usize) -> u64 {
        self.values.len(row) as u64
    }

    fn storage_id(&self, row: usize) -> Option<&str> {
        self.labels.row(row).get("storage_id")
    }
}

impl<'a> Series<'a> {
    /// The name of the metric: `iops`, `throughput`, ….
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.batch.names.value(self.row)
    }

    /// The labels, which name the resource and the unit.
    #[must_use]
    pub fn labels(&self) -> Labels<'a> {
        self.batch.labels.row(self.row)
    }

    /// The name of its storage: the label `storage_name`, or `name`, as the host and Delfin write
    /// it.
    #[must_use]
    pub fn storage_name(&self) -> Option<&'a str> {
        let labels = self.labels();
        labels.get("storage_name").or_else(|| labels.get("name"))
    }

    /// The times of the points, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn timestamps(&self) -> &'a [i64] {
        self.batch.timestamps.row(self.row)
    }

    /// The values of the points.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.batch.values.row(self.row)
    }

    /// The points: pairs of a time, in milliseconds since the Unix epoch, and a value.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (i64, f64)> + Clone + use<'a> {
        let values = self.values();
        self.timestamps()
            .iter()
            .copied()
            .zip(values.iter().copied())
    }
}

impl std::fmt::Debug for Series<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series")
            .field("name", &self.name())
            .field("labels", &self.labels())
            .field("points", &self.points().collect::<Vec<_>>())
            .finish()
    }
}

fn check_lengths(timestamps: &ListColumn<i64>, values: &ListColumn<f64>) -> Result<(), BatchError> {
    for row in 0..timestamps.offsets.len() - 1 {
        let (timestamps, values) = (timestamps.len(row), values.len(row));
        if timestamps != values {
            return Err(BatchError::Uneven {
                row,
                timestamps,
                values,
            });
        }
    }
    Ok(())
}

/// A list column and the parts of it that reading a row needs.
#[derive(Clone, Debug)]
struct ListColumn<N: ArrowNativeType> {
    offsets: OffsetBuffer<i32>,
    items: ScalarBuffer<N>,
}

impl<N: ArrowNativeType> ListColumn<N> {
    fn new<T: ArrowPrimitiveType<Native = N>>(
        batch: &RecordBatch,
        name: &'static str,
        wanted: &'static str,
    ) -> Result<Self, BatchError> {
        let list: &ListArray = column(batch, name, wanted)?;
        let items: &PrimitiveArray<T> = downcast(list.values().as_ref(), name, wanted)?;
        without_nulls(list, name)?;
        without_nulls(items, name)?;
        Ok(Self {
            offsets: list.offsets().clone(),
            items: items.values().clone(),
        })
    }

    fn row(&self, row: usize) -> &[N] {
        &self.items[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    fn len(&self, row: usize) -> usize {
        (self.offsets[row + 1] - self.offsets[row]) as usize
    }

    fn total(&self) -> usize {
        (self.offsets[self.offsets.len() - 1] - self.offsets[0]) as usize
    }
}

/// Builds a performance batch, series by series.
///
/// ```
/// use delfin_plugin_api::{Batch, PerformanceBatchBuilder};
///
/// let mut batch = PerformanceBatchBuilder::new();
/// batch.series("iops", [("resource_id", "sda")], [(1_700_000_000_000, 12.5)])?;
/// let batch = batch.build();
/// assert_eq!((batch.rows(), batch.items()), (1, 1));
/// # Ok::<(), delfin_plugin_api::BatchError>(())
/// ```
#[derive(Debug)]
pub struct PerformanceBatchBuilder {
    names: StringBuilder,
    name_bytes: usize,
    labels: LabelColumnBuilder,
    offsets: Vec<i32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Default for PerformanceBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PerformanceBatchBuilder {
    /// A batch without a series.
    #[must_use]
    pub fn new() -> Self {
        Self {
            // The default capacity is for 1024 rows, and most batches of a client are small.
            names: StringBuilder::with_capacity(0, 0),
            name_bytes: 0,
            labels: LabelColumnBuilder::new(),
            offsets: vec![0],
            timestamps: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a series. A point is a time, in milliseconds since the Unix epoch, and a
    /// value.
    ///
    /// # Errors
    ///
    /// As for [`end_series`](Self::end_series).
    pub fn series<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (K, V)>,
        points: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<(), BatchError> {
        for (key, value) in labels {
            self.label(key.as_ref(), value.as_ref());
        }
        for (time, value) in points {
            self.point(time, value);
        }
        self.end_series(name)
    }

    /// Adds a label to the series that is being built.
    pub fn label(&mut self, key: &str, value: &str) {
        self.labels.push(key, value);
    }

    /// Adds the label that the previous series has in the same place. Returns whether there is one, and its key
    /// is new in this series; otherwise nothing is added.
    pub fn repeat_label(&mut self) -> bool {
        self.labels.repeat()
    }

    /// Whether the series that is being built has a label with the key.
    #[must_use]
    pub fn has_label(&self, key: &str) -> bool {
        self.labels.open_row_has(key)
    }

    /// Adds a point to the series that is being built. `timestamp` is in milliseconds
    /// since the Unix epoch.
    pub fn point(&mut self, timestamp: i64, value: f64) {
        self.timestamps.push(timestamp);
        self.values.push(value);
    }

    /// The times of the series that is being built.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps[self.open_row_start()..]
    }

    /// Ends the series that is being built, and gives it a name.
    ///
    /// # Errors
    ///
    /// [`BatchError::TooLarge`]: a column has no room for the series. The series is
    /// discarded; the batch keeps the series before it.
    pub fn end_series(&mut self, name: &str) -> Result<(), BatchError> {
        if let Some(column) = self.full_column(name) {
            self.discard_series();
            return Err(BatchError::TooLarge { column });
        }
        self.names.append_value(name);
        self.name_bytes += name.len();
        self.labels.end_row();
        self.offsets.push(self.values.len() as i32);
        Ok(())
    }

    /// Discards the labels and points of the series that is being built.
    pub fn discard_series(&mut self) {
        let points = self.open_row_start();
        self.timestamps.truncate(points);
        self.values.truncate(points);
        self.labels.discard_row();
    }

    /// The number of series so far, without the one that is being built.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The memory that the batch takes so far, in bytes, estimated from above.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let points = self.timestamps.capacity() + self.values.capacity();
        // A buffer of texts grows to twice its size.
        let names = 2 * (self.name_bytes + self.rows() * size_of::<i32>());
        let offsets = self.offsets.capacity() * size_of::<i32>();
        points * size_of::<i64>() + names + offsets + self.labels.memory_bytes()
    }

    /// The batch, without a series that is not ended. Its buffers are as large as its
    /// rows.
    #[must_use]
    pub fn build(mut self) -> PerformanceBatch {
        self.discard_series();
        self.offsets.shrink_to_fit();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let timestamps = Int64Array::from(self.timestamps);
        let values = Float64Array::from(self.values);
        let schema = performance_schema();
        let mut columns = vec![
            Arc::new(self.names.finish()),
            self.labels.finish(),
            list(schema.field(2), offsets.clone(), Arc::new(timestamps)),
            list(schema.field(3), offsets, Arc::new(values)),
        ];
        columns.iter_mut().for_each(Array::shrink_to_fit);
        let built = RecordBatch::try_new(schema, columns).map_err(|error| error.to_string());
        match built.map(PerformanceBatch::try_from_arrow) {
            Ok(Ok(batch)) => batch,
            other => unreachable!("columns of the frozen types make a batch: {other:?}"),
        }
    }

    fn open_row_start(&self) -> usize {
        self.offsets.last().map_or(0, |&offset| offset as usize)
    }

    fn full_column(&self, name: &str) -> Option<&'static str> {
        if self.name_bytes + name.len() > MAX_OFFSET {
            return Some("name");
        }
        if self.labels.longest() > MAX_OFFSET {
            return Some("labels");
        }
        (self.values.len() > MAX_OFFSET).then_some("values")
    }
}

fn list(field: &Field, offsets: OffsetBuffer<i32>, items: ArrayRef) -> ArrayRef {
    let DataType::List(item) = field.data_type() else {
        unreachable!("`{}` is a list column", field.name())
    };
    Arc::new(ListArray::new(Arc::clone(item), offsets, items, None))
}
