//! One Parquet file in memory.

use std::sync::LazyLock;

use delfin_plugin_api::arrow_array::{ArrayRef, RecordBatch};
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    errors::{ParquetError, Result},
    file::properties::WriterProperties,
};

/// The bytes of a group of rows, about: what a reader needs in memory.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Rows that are in memory as Arrow columns before they are encoded.
pub(super) const CHUNK_ROWS: usize = 1 << 15;

/// The column whose values hardly repeat.
pub(super) const VALUE: &str = "value";

static PROPERTIES: LazyLock<WriterProperties> = LazyLock::new(|| {
    WriterProperties::builder()
        .set_created_by(concat!("delfin-exporter-parquet ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_column_dictionary_enabled(VALUE.into(), false)
        // Maps have the names of fields that the format asks for.
        .set_coerce_types(true)
        .build()
});

/// A file that is being written.
#[derive(Default)]
pub(super) struct ParquetFile(Option<ArrowWriter<Vec<u8>>>);

impl ParquetFile {
    /// Adds rows. The columns and their types are the same in each call.
    pub(super) fn write<'a>(
        &mut self,
        columns: impl IntoIterator<Item = (&'a str, ArrayRef, bool)>,
    ) -> Result<()> {
        let rows = RecordBatch::try_from_iter_with_nullable(columns)?;
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => {
                // Without the schema of Arrow, which would make readers take texts for
                // dictionaries.
                let options = ArrowWriterOptions::new()
                    .with_properties(PROPERTIES.clone())
                    .with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options)?;
                none.insert(writer)
            }
        };
        writer.write(&rows)
    }

    /// The content of the file.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let none = || ParquetError::General("a file has no rows".to_owned());
        self.0.ok_or_else(none)?.into_inner()
    }
}
