//! Puts batches together. Batches of one array have most texts of their labels in common, and the result has each
//! of them once: it is smaller, and compresses better, than with the texts of each batch.

use std::{slice, sync::Arc};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, MapArray, RecordBatch, StringArray, StructArray,
    cast::AsArray, types::Int32Type,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, FieldRef};
use hashbrown::HashMap;

/// The rows of batches with the same columns, in their order.
///
/// # Errors
///
/// There is no batch, or the rows do not fit into one.
pub(crate) fn concat(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    match batches {
        [one] => Ok(one.clone()),
        _ => join(batches),
    }
}

/// The rows of a batch, with no text of a label that only other rows have.
///
/// # Errors
///
/// As [`concat`].
pub(crate) fn with_own_texts(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    join(slice::from_ref(batch))
}

fn join(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let Some(first) = batches.first() else {
        return Err(ArrowError::InvalidArgumentError("no rows".to_owned()));
    };
    let columns = (0..first.num_columns()).map(|column| {
        let columns = batches.iter().map(|batch| &**batch.column(column));
        concat_arrays(&columns.collect::<Vec<_>>())
    });
    RecordBatch::try_new(first.schema(), columns.collect::<Result<_, _>>()?)
}

fn concat_arrays(arrays: &[&dyn Array]) -> Result<ArrayRef, ArrowError> {
    let has_nulls = arrays.iter().any(|array| array.null_count() > 0);
    match arrays[0].data_type() {
        DataType::Map(entries, ordered) if !has_nulls => {
            let arrays: Vec<_> = arrays.iter().map(|array| array.as_map()).collect();
            let map = concat_maps(&arrays, entries, *ordered)?;
            Ok(Arc::new(map))
        }
        DataType::Dictionary(codes, texts)
            if !has_nulls && **codes == DataType::Int32 && **texts == DataType::Utf8 =>
        {
            let arrays = arrays.iter().map(|array| array.as_dictionary());
            Ok(Arc::new(concat_texts(arrays)?))
        }
        _ => arrow_select::concat::concat(arrays),
    }
}

fn concat_maps(
    maps: &[&MapArray],
    field: &FieldRef,
    ordered: bool,
) -> Result<MapArray, ArrowError> {
    let lens = maps.iter().flat_map(|map| map.offsets().lengths());
    let offsets = OffsetBuffer::try_from_lengths(lens).map_err(too_long)?;
    let entries: Vec<_> = maps
        .iter()
        .map(|map| {
            let offsets = map.offsets();
            let first = offsets[0] as usize;
            map.entries()
                .slice(first, offsets[map.len()] as usize - first)
        })
        .collect();
    let columns = (0..entries[0].num_columns()).map(|column| {
        let arrays: Vec<_> = entries
            .iter()
            .map(|entry| &**entry.column(column))
            .collect();
        concat_arrays(&arrays)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let entries = StructArray::try_new(entries[0].fields().clone(), columns, None)?;
    MapArray::try_new(Arc::clone(field), offsets, entries, None, ordered)
}

/// Each text once, and only those that an entry has.
fn concat_texts<'a>(
    arrays: impl Iterator<Item = &'a DictionaryArray<Int32Type>> + Clone,
) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    let entries = arrays.clone().map(Array::len).sum();
    let (mut codes, mut texts) = (Vec::with_capacity(entries), Vec::new());
    let mut codes_by_text = HashMap::new();
    // The new codes of one dictionary.
    let (mut new_codes, mut dictionary): (Vec<Option<i32>>, _) = (Vec::new(), None);
    for array in arrays {
        let values = array.values().as_string::<i32>();
        // Slices of one batch share it.
        if !dictionary.is_some_and(|last| Arc::ptr_eq(last, array.values())) {
            new_codes.clear();
            new_codes.resize(values.len(), None);
            dictionary = Some(array.values());
        }
        codes.extend(array.keys().values().iter().map(|&code| {
            let code = code as usize;
            *new_codes[code].get_or_insert_with(|| {
                let text = values.value(code);
                *codes_by_text.entry(text).or_insert_with(|| {
                    texts.push(text);
                    texts.len() as i32 - 1
                })
            })
        }));
    }
    OffsetBuffer::<i32>::try_from_lengths(texts.iter().map(|text| text.len())).map_err(too_long)?;
    let texts = StringArray::from_iter_values(texts);
    DictionaryArray::try_new(Int32Array::from(codes), Arc::new(texts))
}

fn too_long(error: impl std::fmt::Display) -> ArrowError {
    ArrowError::InvalidArgumentError(error.to_string())
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, Batch, NewAlert, PerformanceBatchBuilder};

    use super::*;

    fn series(first: usize, count: usize) -> RecordBatch {
        let mut batch = PerformanceBatchBuilder::new();
        for number in first..first + count {
            let volume = format!("volume-{number}");
            let labels = [("resource_id", &*volume), ("unit", "é")];
            let labels = labels.into_iter().take(1 + number % 2);
            batch.series("load", labels, [(1, 0.5)]).unwrap();
        }
        batch.build().as_arrow().clone()
    }

    fn alerts(racks: &[&str]) -> RecordBatch {
        let mut batch = AlertBatchBuilder::new();
        for rack in racks {
            let texts = [("alert_id", *rack), ("rack", *rack)];
            batch.alert(NewAlert {
                occur_time: 5,
                texts: &texts[rack.len() % 2..],
            });
        }
        batch.build().as_arrow().clone()
    }

    fn texts(batch: &RecordBatch) -> usize {
        let labels = batch
            .columns()
            .iter()
            .find_map(|column| column.as_map_opt());
        let values = labels.unwrap().values();
        values.as_any_dictionary().values().len()
    }

    #[test]
    fn rows_are_those_of_all_batches() {
        for batches in [
            vec![
                series(0, 3),
                series(2, 9),
                series(0, 0),
                series(9, 3).slice(1, 2),
            ],
            vec![series(0, 0), series(0, 0)],
            vec![series(5, 2)],
            vec![
                alerts(&["a", "bc"]),
                alerts(&[]),
                alerts(&["bc", "d"]).slice(1, 1),
            ],
        ] {
            let schema = batches[0].schema();
            let wanted = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
            assert_eq!(concat(&batches).unwrap(), wanted);
        }
        concat(&[]).unwrap_err();
    }

    #[test]
    fn each_text_is_there_once_and_those_of_other_rows_are_not() {
        let batches = [series(10, 2), series(10, 2), series(10, 90).slice(0, 3)];
        let all = concat(&batches).unwrap();
        assert_eq!((texts(&batches[2]), texts(&all)), (91, 4));
        for rows in [0..3, 1..2, 2..2] {
            let slice = all.slice(rows.start, rows.len());
            let own = with_own_texts(&slice).unwrap();
            assert_eq!(own, slice);
            assert!(texts(&own) <= 2 * rows.len());
        }
    }
}
