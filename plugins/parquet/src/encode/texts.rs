//! Columns of texts, in which each text is in memory once for many rows.

use std::sync::Arc;

use arrow_schema::ArrowError;
use delfin_plugin_api::arrow_array::{
    ArrayRef,
    builder::{MapBuilder, MapFieldNames, StringDictionaryBuilder},
    types::Int32Type,
};

/// A column of texts or nulls.
pub(super) type TextColumn = StringDictionaryBuilder<Int32Type>;

/// A column of maps from texts to texts.
pub(super) struct MapColumn(MapBuilder<TextColumn, TextColumn>);

/// Adds a text, or null, for several rows.
pub(super) fn append(
    column: &mut TextColumn,
    text: Option<&str>,
    rows: usize,
) -> Result<(), ArrowError> {
    match text {
        Some(text) => column.append_n(text, rows).map(drop),
        None => {
            column.append_nulls(rows);
            Ok(())
        }
    }
}

/// The rows as a column; the builder is empty then.
pub(super) fn finish(column: &mut TextColumn) -> ArrayRef {
    Arc::new(column.finish())
}

impl MapColumn {
    pub(super) fn new() -> Self {
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        Self(MapBuilder::new(
            Some(names),
            TextColumn::new(),
            TextColumn::new(),
        ))
    }

    /// Adds a map for several rows.
    pub(super) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        rows: usize,
    ) -> Result<(), ArrowError> {
        for _ in 0..rows {
            for (key, value) in entries.clone() {
                self.0.keys().append(key)?;
                self.0.values().append(value)?;
            }
            self.0.append(true)?;
        }
        Ok(())
    }

    /// The rows as a column; the builder is empty then.
    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}
