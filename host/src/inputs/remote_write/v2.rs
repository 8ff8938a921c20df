//! `io.prometheus.write.v2.Request`, the message of version 2.0.

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};

use super::{SeriesReadError, invalid_labels, native_histograms, read_sample, type_name};
use crate::inputs::{
    SeriesWriter, SourceSeries,
    source::{NAME, TYPE, UNIT},
    writer::SeriesPlace,
};

pub(super) const SYMBOLS: u32 = 4;
pub(super) const TIMESERIES: u32 = 5;
const LABELS_REFS: u32 = 1;
const SAMPLES: u32 = 2;
const HISTOGRAMS: u32 = 3;
const METADATA: u32 = 5;
const METADATA_TYPE: u32 = 1;
const METADATA_UNIT_REF: u32 = 4;

/// Texts between two looks at the memory.
const SYMBOLS_PER_CHECK: usize = 4096;

/// The texts that series refer to by their number. `None`: it is not UTF-8.
#[derive(Default)]
struct SymbolTexts<'a>(Vec<Option<&'a str>>);

/// Why the labels of a series cannot be read.
enum LabelError {
    /// A number that no text has.
    Unknown(u64),
    NotUtf8,
    /// A name without a value.
    Odd,
}

pub(super) fn read(body: &[u8], writer: &mut SeriesWriter<'_>) -> Result<(), SeriesReadError> {
    // The order of fields is not fixed: series may come before the texts.
    let symbols = SymbolTexts::read(body, writer)?;
    let mut series = SourceSeries::default();
    let mut index = 0;
    for field in ProtobufReader::new(body) {
        if let (TIMESERIES, ProtobufField::Bytes(message)) = field? {
            writer.begin(symbols.memory_bytes())?;
            read_series(message, &symbols, &mut series, index, writer)?;
            index += 1;
        }
    }
    Ok(())
}

fn read_series<'a>(
    message: &'a [u8],
    symbols: &SymbolTexts<'a>,
    series: &mut SourceSeries<'a>,
    index: usize,
    writer: &mut SeriesWriter<'_>,
) -> Result<(), SeriesReadError> {
    series.clear();
    let place = SeriesPlace { index, line: None };
    let mut histograms = 0;
    let mut labels = LabelReader::new(symbols, series);
    let mut error = None;
    for field in ProtobufReader::new(message) {
        let read = match field? {
            (LABELS_REFS, ProtobufField::Bytes(packed)) => labels.read_packed(packed)?,
            (LABELS_REFS, ProtobufField::Varint(number)) => labels.add(number),
            (METADATA, ProtobufField::Bytes(metadata)) => labels.read_metadata(metadata)?,
            (SAMPLES, ProtobufField::Bytes(sample)) => {
                read_sample(sample, writer)?;
                Ok(())
            }
            (HISTOGRAMS, ProtobufField::Bytes(_)) => {
                histograms += 1;
                Ok(())
            }
            _ => Ok(()),
        };
        error = error.or(read.err());
    }
    let error = error.or(labels.end().err());
    let name = series.get(NAME).unwrap_or_default();
    match error {
        Some(error) => writer.reject(place, name, invalid_labels(&error.text()), histograms),
        None if histograms > 0 => writer.reject(place, name, native_histograms(), histograms),
        None => writer.end(series, place)?,
    }
    Ok(())
}

/// Adds the labels of a series, whose names and values are numbers in turns.
struct LabelReader<'s, 'a> {
    symbols: &'s SymbolTexts<'a>,
    series: &'s mut SourceSeries<'a>,
    /// The name whose value comes next.
    name: Option<&'a str>,
}

impl<'s, 'a> LabelReader<'s, 'a> {
    fn new(symbols: &'s SymbolTexts<'a>, series: &'s mut SourceSeries<'a>) -> Self {
        Self {
            symbols,
            series,
            name: None,
        }
    }

    fn add(&mut self, number: u64) -> Result<(), LabelError> {
        let text = self.symbols.text(number)?;
        match self.name.take() {
            None => self.name = Some(text),
            Some(name) => self.series.push(name, text),
        }
        Ok(())
    }

    fn read_packed(&mut self, packed: &[u8]) -> Result<Result<(), LabelError>, MalformedMessage> {
        for number in ProtobufReader::new(packed).packed_varints() {
            if let Err(error) = self.add(number?) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn read_metadata(
        &mut self,
        metadata: &[u8],
    ) -> Result<Result<(), LabelError>, MalformedMessage> {
        for field in ProtobufReader::new(metadata) {
            match field? {
                (METADATA_TYPE, ProtobufField::Varint(number)) => {
                    self.series.push(TYPE, type_name(number));
                }
                (METADATA_UNIT_REF, ProtobufField::Varint(number)) => {
                    match self.symbols.text(number) {
                        Ok(unit) => self.series.push(UNIT, unit),
                        Err(error) => return Ok(Err(error)),
                    }
                }
                _ => {}
            }
        }
        Ok(Ok(()))
    }

    fn end(self) -> Result<(), LabelError> {
        match self.name {
            None => Ok(()),
            Some(_) => Err(LabelError::Odd),
        }
    }
}

impl<'a> SymbolTexts<'a> {
    fn read(body: &'a [u8], writer: &mut SeriesWriter<'_>) -> Result<Self, SeriesReadError> {
        let mut table = Self::default();
        for field in ProtobufReader::new(body) {
            if let (SYMBOLS, ProtobufField::Bytes(text)) = field? {
                if table.0.len().is_multiple_of(SYMBOLS_PER_CHECK) {
                    writer.check(2 * table.memory_bytes())?;
                }
                table.0.push(str::from_utf8(text).ok());
            }
        }
        Ok(table)
    }

    fn text(&self, number: u64) -> Result<&'a str, LabelError> {
        let text = usize::try_from(number).ok().and_then(|at| self.0.get(at));
        let text = text.ok_or(LabelError::Unknown(number))?;
        text.ok_or(LabelError::NotUtf8)
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Option<&str>>()
    }
}

impl LabelError {
    fn text(&self) -> String {
        match self {
            Self::Unknown(number) => format!("no symbol has the number {number}"),
            Self::NotUtf8 => "a label is not UTF-8".to_owned(),
            Self::Odd => "a label has a name and no value".to_owned(),
        }
    }
}
