//! Map columns of text to text: the labels of a series, the extras of an alert.

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, MapArray, StringArray, StructArray, types::Int32Type,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields};

use super::{BatchError, dictionary::DictionaryBuilder, downcast, without_nulls};

const WANTED: &str = "Map<Dictionary<Int32, Utf8>, Dictionary<Int32, Utf8>>";

/// The labels of one row, in the order in which they were added.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    column: &'a LabelColumn,
    start: usize,
    end: usize,
}

impl<'a> Labels<'a> {
    /// The value of a label, if the row has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter().find_map(|(k, v)| (k == key).then_some(v))
    }

    /// The key and the value of each label.
    #[must_use]
    pub fn iter(&self) -> LabelIter<'a> {
        LabelIter {
            column: self.column,
            entries: self.start..self.end,
        }
    }

    /// The codes of the key and of the value of each label, which [`Self::text`] takes.
    #[cfg(feature = "json")]
    pub(crate) fn codes(&self) -> impl Iterator<Item = (i32, i32)> + use<'a> {
        let LabelColumn { keys, values, .. } = self.column;
        let entries = self.start..self.end;
        let keys = keys.codes[entries.clone()].iter().copied();
        keys.zip(values.codes[entries].iter().copied())
    }

    /// The key and the value with these codes.
    #[cfg(feature = "json")]
    pub(crate) fn text(&self, (key, value): (i32, i32)) -> (&'a str, &'a str) {
        let LabelColumn { keys, values, .. } = self.column;
        (keys.text(key), values.text(value))
    }

    /// Whether equal codes are equal texts in both.
    #[cfg(feature = "json")]
    pub(crate) fn has_codes_of(&self, other: &Self) -> bool {
        std::ptr::eq(self.column, other.column)
    }

    /// The number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the row has no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl<'a> IntoIterator for Labels<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelIter<'a>;

    fn into_iter(self) -> LabelIter<'a> {
        self.iter()
    }
}

/// The key and the value of each label of a row.
#[derive(Clone)]
pub struct LabelIter<'a> {
    column: &'a LabelColumn,
    entries: Range<usize>,
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        let LabelColumn { keys, values, .. } = self.column;
        Some((
            keys.text(keys.codes[entry]),
            values.text(values.codes[entry]),
        ))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for LabelIter<'_> {}

impl std::fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A map column and the parts of it that reading a row needs.
#[derive(Clone, Debug)]
pub(super) struct LabelColumn {
    offsets: OffsetBuffer<i32>,
    keys: Dictionary,
    values: Dictionary,
}

#[derive(Clone, Debug)]
struct Dictionary {
    codes: ScalarBuffer<i32>,
    texts: StringArray,
}

impl LabelColumn {
    pub(super) fn new(array: &dyn Array, column: &'static str) -> Result<Self, BatchError> {
        let map: &MapArray = downcast(array, column, WANTED)?;
        without_nulls(map, column)?;
        Ok(Self {
            offsets: map.offsets().clone(),
            keys: Dictionary::new(map.keys(), column)?,
            values: Dictionary::new(map.values(), column)?,
        })
    }

    pub(super) fn row(&self, row: usize) -> Labels<'_> {
        Labels {
            column: self,
            start: self.offsets[row] as usize,
            end: self.offsets[row + 1] as usize,
        }
    }
}

impl Dictionary {
    fn new(array: &dyn Array, column: &'static str) -> Result<Self, BatchError> {
        let dictionary: &DictionaryArray<Int32Type> = downcast(array, column, WANTED)?;
        let texts: &StringArray = downcast(dictionary.values().as_ref(), column, WANTED)?;
        without_nulls(dictionary, column)?;
        without_nulls(texts, column)?;
        Ok(Self {
            codes: dictionary.keys().values().clone(),
            texts: texts.clone(),
        })
    }

    fn text(&self, code: i32) -> &str {
        self.texts.value(code as usize)
    }
}

/// The type of a map column.
pub(super) fn label_type() -> DataType {
    DataType::Map(Arc::clone(&ENTRIES.1), false)
}

/// The key and the value of an entry, and the field that has both.
static ENTRIES: LazyLock<(Fields, FieldRef)> = LazyLock::new(|| {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = Fields::from(vec![
        Field::new("keys", text.clone(), false),
        Field::new("values", text, false),
    ]);
    let entries = Field::new("entries", DataType::Struct(fields.clone()), false);
    (fields, Arc::new(entries))
});

/// Builds a map column row by row.
#[derive(Debug)]
pub(super) struct LabelColumnBuilder {
    keys: DictionaryBuilder,
    values: DictionaryBuilder,
    offsets: Vec<i32>,
}

impl LabelColumnBuilder {
    pub(super) fn new() -> Self {
        Self {
            keys: DictionaryBuilder::new(),
            values: DictionaryBuilder::new(),
            offsets: vec![0],
        }
    }

    pub(super) fn push(&mut self, key: &str, value: &str) {
        let distance = self.distance();
        self.keys.push(key, distance);
        self.values.push(value, distance);
    }

    /// Adds the entry at the same index of the previous row, unless the row has its key.
    pub(super) fn repeat(&mut self) -> bool {
        let (row, distance) = (self.row_start(), self.distance());
        let entry = self.keys.likely(distance).zip(self.values.likely(distance));
        let Some((key, value)) = entry.filter(|(key, _)| !self.keys.has_code(*key, row)) else {
            return false;
        };
        self.keys.push_code(key);
        self.values.push_code(value);
        true
    }

    pub(super) fn end_row(&mut self) {
        self.offsets.push(self.keys.len() as i32);
        self.keys.keep_texts();
        self.values.keep_texts();
    }

    pub(super) fn discard_row(&mut self) {
        let row = self.row_start();
        self.keys.discard(row);
        self.values.discard(row);
    }

    /// Whether the row that is being built has the key.
    pub(super) fn open_row_has(&self, key: &str) -> bool {
        self.keys.has(key, self.row_start(), self.distance())
    }

    /// The length of the longest buffer.
    pub(super) fn longest(&self) -> usize {
        let texts = self.keys.text_bytes().max(self.values.text_bytes());
        texts.max(self.keys.len())
    }

    /// The memory of the column so far, in bytes, estimated from above.
    pub(super) fn memory_bytes(&self) -> usize {
        let offsets = self.offsets.capacity() * size_of::<i32>();
        offsets + self.keys.memory_bytes() + self.values.memory_bytes()
    }

    pub(super) fn finish(self) -> ArrayRef {
        let (fields, entries) = &*ENTRIES;
        let columns = vec![self.keys.finish(), self.values.finish()];
        let columns = StructArray::new(fields.clone(), columns, None);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Arc::new(MapArray::new(
            Arc::clone(entries),
            offsets,
            columns,
            None,
            false,
        ))
    }

    /// How many entries before the next one the likely one is. Neighbouring rows mostly have the
    /// same labels in the same order. So the entry at the same index of the previous row is
    /// the likely one, and to compare with it is cheaper than to hash. It is as many entries back
    /// as that row has.
    fn distance(&self) -> usize {
        let start = self.row_start();
        let previous_start = self.offsets.iter().rev().nth(1);
        start - previous_start.map_or(start, |&offset| offset as usize)
    }

    fn row_start(&self) -> usize {
        self.offsets.last().map_or(0, |&offset| offset as usize)
    }
}
