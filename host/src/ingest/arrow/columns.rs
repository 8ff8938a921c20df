//! Converts the columns of a record batch to the frozen ones.
//!
//! Writers give the inner fields of lists and maps different names, and mark them as
//! nullable. The data is reused, and only the types around it are replaced.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, Int64Array, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray, new_empty_array,
    types::{Float64Type, Int32Type, Int64Type},
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field};
use delfin_plugin_api::{
    AlertBatch, Batch, BatchError, PerformanceBatch, TEXT_COLUMNS, alert_schema, performance_schema,
};

use crate::ingest::IngestError;

/// The series of a record batch.
pub(super) fn performance(batch: &RecordBatch) -> Result<PerformanceBatch, IngestError> {
    let schema = performance_schema();
    let columns = vec![
        texts(wanted(batch, "name")?, "name")?,
        labels(wanted(batch, "labels")?, "labels", schema.field(1))?,
        list::<Int64Type>(batch, "timestamps", schema.field(2))?,
        list::<Float64Type>(batch, "values", schema.field(3))?,
    ];
    without_nulls(&columns[0], "name")?;
    let batch = RecordBatch::try_new(schema, columns).map_err(|error| not_arrow(&error))?;
    Ok(PerformanceBatch::try_from_arrow(batch)?)
}

/// The alerts of a record batch.
pub(super) fn alerts(batch: &RecordBatch, now_ms: i64) -> Result<AlertBatch, IngestError> {
    let schema = alert_schema();
    let rows = batch.num_rows();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for name in TEXT_COLUMNS {
        columns.push(match batch.column_by_name(name) {
            Some(column) => texts(column, name)?,
            None => Arc::new(StringArray::new_null(rows)),
        });
    }
    columns.push(match batch.column_by_name("occur_time") {
        Some(column) => times(column, now_ms)?,
        None => Arc::new(Int64Array::from_value(now_ms, rows)),
    });
    let extra = schema.field(columns.len());
    columns.push(match batch.column_by_name("extra") {
        Some(column) => labels(column, "extra", extra)?,
        None => no_labels(extra, rows)?,
    });
    let batch = RecordBatch::try_new(schema, columns).map_err(|error| not_arrow(&error))?;
    Ok(AlertBatch::try_from_arrow(batch)?)
}

pub(super) fn not_arrow(error: &ArrowError) -> IngestError {
    let reason = match error {
        ArrowError::IpcError(reason) => reason.clone(),
        other => other.to_string(),
    };
    IngestError::Arrow { reason }
}

fn wanted<'a>(batch: &'a RecordBatch, column: &'static str) -> Result<&'a ArrayRef, BatchError> {
    batch
        .column_by_name(column)
        .ok_or(BatchError::Missing { column })
}

fn texts(array: &ArrayRef, column: &'static str) -> Result<ArrayRef, BatchError> {
    typed::<StringArray>(array, column, "Utf8")?;
    Ok(Arc::clone(array))
}

/// The times of alerts; `now_ms` for one that is null.
fn times(array: &ArrayRef, now_ms: i64) -> Result<ArrayRef, BatchError> {
    let times: &Int64Array = typed(array, "occur_time", "Int64")?;
    if times.null_count() == 0 {
        return Ok(Arc::clone(array));
    }
    let times = times.iter().map(|time| time.unwrap_or(now_ms));
    Ok(Arc::new(Int64Array::from_iter_values(times)))
}

fn list<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    column: &'static str,
    field: &Field,
) -> Result<ArrayRef, IngestError> {
    let wanted_type = if T::DATA_TYPE == DataType::Int64 {
        "List<Int64>"
    } else {
        "List<Float64>"
    };
    let list: &ListArray = typed(wanted(batch, column)?, column, wanted_type)?;
    typed::<PrimitiveArray<T>>(list.values(), column, wanted_type)?;
    without_nulls(list, column)?;
    without_nulls(list.values(), column)?;
    let DataType::List(item) = field.data_type() else {
        unreachable!("`{column}` is a list column")
    };
    let values = Arc::clone(list.values());
    let list = ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, None);
    Ok(Arc::new(list.map_err(|error| not_arrow(&error))?))
}

fn labels(array: &ArrayRef, column: &'static str, field: &Field) -> Result<ArrayRef, IngestError> {
    let map: &MapArray = typed(array, column, LABELS)?;
    without_nulls(map, column)?;
    without_nulls(map.entries(), column)?;
    let keys = dictionary(map.keys(), column)?;
    let values = dictionary(map.values(), column)?;
    map_of(field, map.offsets().clone(), [keys, values])
}

fn no_labels(field: &Field, rows: usize) -> Result<ArrayRef, IngestError> {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let offsets = OffsetBuffer::new_zeroed(rows);
    map_of(
        field,
        offsets,
        [new_empty_array(&text), new_empty_array(&text)],
    )
}

fn map_of(
    field: &Field,
    offsets: OffsetBuffer<i32>,
    keys_and_values: [ArrayRef; 2],
) -> Result<ArrayRef, IngestError> {
    let DataType::Map(entry, sorted) = field.data_type() else {
        unreachable!("`{}` is a map column", field.name())
    };
    let DataType::Struct(fields) = entry.data_type() else {
        unreachable!("the entries of a map are structs")
    };
    let map = StructArray::try_new(fields.clone(), keys_and_values.into(), None)
        .and_then(|entries| MapArray::try_new(Arc::clone(entry), offsets, entries, None, *sorted));
    Ok(Arc::new(map.map_err(|error| not_arrow(&error))?))
}

const LABELS: &str = "a map of Utf8 to Utf8, each plain or Dictionary<Int32, Utf8>";

/// The texts as a dictionary; a column that is one already is reused.
fn dictionary(array: &ArrayRef, column: &'static str) -> Result<ArrayRef, BatchError> {
    without_nulls(array, column)?;
    if let Some(plain) = array.as_any().downcast_ref::<StringArray>() {
        let dictionary: DictionaryArray<Int32Type> = plain.iter().collect();
        return Ok(Arc::new(dictionary));
    }
    let dictionary: &DictionaryArray<Int32Type> = typed(array, column, LABELS)?;
    typed::<StringArray>(dictionary.values(), column, LABELS)?;
    without_nulls(dictionary.values(), column)?;
    Ok(Arc::clone(array))
}

fn typed<'a, A: Array + 'static>(
    array: &'a dyn Array,
    column: &'static str,
    wanted: &'static str,
) -> Result<&'a A, BatchError> {
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| BatchError::Type {
            column,
            found: array.data_type().to_string(),
            wanted,
        })
}

fn without_nulls(array: &dyn Array, column: &'static str) -> Result<(), BatchError> {
    if array.null_count() > 0 {
        return Err(BatchError::Null { column });
    }
    Ok(())
}
