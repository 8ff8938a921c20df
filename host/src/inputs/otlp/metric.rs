//! A metric and its points.

use delfin_plugin_api::protobuf::{MalformedMessage, ProtobufField, ProtobufReader};

use super::{
    SeriesReadError,
    attributes::{ResourceAttributes, read_attribute},
    messages, push_name,
};
use crate::{
    ingest::{ItemError, MAX_LABELS},
    inputs::{
        SeriesWriter, SkipReason, SourceSeries,
        source::{TYPE, UNIT},
        writer::{POINTS_PER_CHECK, SeriesPlace},
    },
};

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;
const NO_DATA: &str = "has no data that the host knows (send `gauge`, `sum`, `histogram`, \
     `exponentialHistogram` or `summary`)";
const NO_TEMPORALITY: &str = "`aggregationTemporality` is not specified (send 1 for delta, or 2 \
     for cumulative)";
/// The flag of a point that says that its series has no value.
const NO_RECORDED_VALUE: u64 = 1;

/// What a metric has points of, as its field numbers name it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MetricData {
    Gauge = 5,
    Sum = 7,
    Histogram = 9,
    ExponentialHistogram = 10,
    Summary = 11,
}

/// Reads the points of a metric.
pub(super) struct MetricReader<'a, 'i> {
    name: &'a str,
    unit: &'a str,
    /// `None`: the metric has no points of a known kind.
    data: Option<(MetricData, &'a [u8])>,
    resource: &'i ResourceAttributes<'a>,
    /// Points of the request so far.
    index: &'i mut usize,
    is_text: bool,
}

/// A point of any kind.
#[derive(Default)]
struct DataPoint<'a> {
    attributes: Vec<&'a [u8]>,
    time_ns: u64,
    value: Option<f64>,
    count: u64,
    sum: Option<f64>,
    quantiles: Vec<(f64, f64)>,
    flags: u64,
    /// Attributes and quantiles; those beyond the limit are counted and not kept.
    parts: usize,
}

/// Points of one series that follow each other in the body: they are a row of the batch, so that long attributes count once.
#[derive(Default)]
struct PointRun<'a> {
    /// Of the first point in the request.
    index: usize,
    first: DataPoint<'a>,
    columns: Vec<SeriesColumn>,
    times_ms: Vec<i64>,
    /// Of each point a value for each column.
    values: Vec<f64>,
}

/// A series that points of a metric become.
#[derive(Clone, Copy, Default, PartialEq)]
struct SeriesColumn {
    /// Of the name.
    suffix: &'static str,
    quantile: Option<f64>,
    /// `None`: that of the metric.
    unit: Option<&'static str>,
}

impl MetricData {
    fn from_number(number: u32) -> Option<Self> {
        let all = [
            Self::Gauge,
            Self::Sum,
            Self::Histogram,
            Self::ExponentialHistogram,
            Self::Summary,
        ];
        all.into_iter().find(|data| *data as u32 == number)
    }

    /// The number of the field with attributes in a point.
    const fn attributes(self) -> u32 {
        match self {
            Self::Gauge | Self::Sum | Self::Summary => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 1,
        }
    }

    /// The number of the field with flags in a point.
    const fn flags(self) -> u32 {
        match self {
            Self::Gauge | Self::Sum | Self::Summary => 8,
            Self::Histogram | Self::ExponentialHistogram => 10,
        }
    }

    /// The type of the series, as `value_type` has it; `None` if the client does not say whether values are cumulative.
    fn type_of(self, data: &[u8]) -> Result<Option<&'static str>, MalformedMessage> {
        let (mut temporality, mut is_monotonic) = (0, false);
        for field in ProtobufReader::new(data) {
            match field? {
                (2, ProtobufField::Varint(number)) => temporality = number,
                (3, ProtobufField::Varint(flag)) => is_monotonic = flag != 0,
                _ => {}
            }
        }
        Ok(match (self, temporality) {
            (Self::Gauge, _) => Some("gauge"),
            (Self::Summary, _) => Some("counter"),
            (Self::Sum, CUMULATIVE) if !is_monotonic => Some("gauge"),
            (_, CUMULATIVE) => Some("counter"),
            (_, DELTA) => Some("delta"),
            _ => None,
        })
    }
}

impl<'a, 'i> MetricReader<'a, 'i> {
    pub(super) fn new(
        metric: &'a [u8],
        resource: &'i ResourceAttributes<'a>,
        index: &'i mut usize,
    ) -> Result<Self, MalformedMessage> {
        let mut reader = Self {
            name: "",
            unit: "",
            data: None,
            resource,
            index,
            is_text: true,
        };
        for field in ProtobufReader::new(metric) {
            let (number, ProtobufField::Bytes(content)) = field? else {
                continue;
            };
            match number {
                1 => reader.name = reader.text(content),
                3 => reader.unit = reader.text(content),
                _ => {
                    if let Some(data) = MetricData::from_number(number) {
                        reader.data = Some((data, content));
                    }
                }
            }
        }
        Ok(reader)
    }

    fn text(&mut self, bytes: &'a [u8]) -> &'a str {
        let text = str::from_utf8(bytes);
        self.is_text &= text.is_ok();
        text.unwrap_or_default()
    }

    pub(super) fn read(self, writer: &mut SeriesWriter<'_>) -> Result<(), SeriesReadError> {
        let Some((kind, data)) = self.data else {
            // The number of its points is unknown.
            return self.refuse(NO_DATA, 1, writer);
        };
        let Some(type_name) = kind.type_of(data)? else {
            let points = messages(data, 1).try_fold(0, |count, point| point.map(|_| count + 1))?;
            return self.refuse(NO_TEMPORALITY, points, writer);
        };
        let mut series = SourceSeries::default();
        let mut run = PointRun::default();
        for message in messages(data, 1) {
            let point = DataPoint::read(message?, kind)?;
            *self.index += 1;
            let is_number = matches!(kind, MetricData::Gauge | MetricData::Sum);
            let has_value = !is_number || point.value.is_some();
            if point.flags & NO_RECORDED_VALUE != 0 || !has_value {
                writer.skip(SkipReason::NoNumber, 1);
                continue;
            }
            // 0 is the value of an unknown time.
            let time_ms = match point.time_ns {
                0 => writer.now_ms(),
                time_ns => (time_ns / 1_000_000) as i64,
            };
            let values = point.values(kind);
            if !run.continues_with(&point, time_ms, &values) {
                self.write(type_name, &run, &mut series, writer)?;
                run.begin(*self.index - 1, point, &values);
            }
            run.push(time_ms, &values);
            if run.times_ms.len().is_multiple_of(POINTS_PER_CHECK) {
                writer.check(run.memory_bytes())?;
            }
        }
        self.write(type_name, &run, &mut series, writer)
    }

    /// Refuses the metric as a whole.
    fn refuse(
        self,
        reason: &str,
        points: usize,
        writer: &mut SeriesWriter<'_>,
    ) -> Result<(), SeriesReadError> {
        if points > 0 {
            let place = SeriesPlace {
                index: *self.index,
                line: None,
            };
            *self.index += points;
            let error = ItemError::Invalid {
                field: None,
                reason: reason.to_owned(),
            };
            writer.begin(0)?;
            writer.reject(place, self.name, error, points as u64);
        }
        Ok(())
    }

    fn write(
        &self,
        type_name: &'static str,
        run: &PointRun<'a>,
        series: &mut SourceSeries<'i>,
        writer: &mut SeriesWriter<'_>,
    ) -> Result<(), SeriesReadError> {
        let points = run.times_ms.len() as u64;
        if points == 0 {
            return Ok(());
        }
        let place = SeriesPlace {
            index: run.index,
            line: None,
        };
        series.clear();
        let problem = match (self.is_text, run.first.parts > MAX_LABELS) {
            (false, _) => Some("a name is not UTF-8"),
            (_, true) => Some("has more than 256 attributes or quantiles"),
            (true, false) => run.first.push_attributes(self.resource, series, writer)?,
        };
        if let Some(reason) = problem {
            let error = ItemError::Invalid {
                field: Some("attributes"),
                reason: reason.to_owned(),
            };
            writer.begin(run.memory_bytes())?;
            writer.reject(place, self.name, error, points);
            return Ok(());
        }
        let rejected = writer.rejected_points;
        let attributes = series.count();
        for (number, column) in run.columns.iter().enumerate() {
            let type_name = column.quantile.map_or(type_name, |_| "gauge");
            push_name(series, self.name, column.suffix);
            let unit = column.unit.unwrap_or(self.unit);
            series.push(UNIT, unit);
            series.push(TYPE, type_name);
            if let Some(quantile) = column.quantile {
                series.push("quantile", quantile.to_string());
            }
            writer.begin(run.memory_bytes())?;
            let rows = run.values.chunks_exact(run.columns.len());
            for (time_ms, row) in run.times_ms.iter().zip(rows) {
                writer.point(*time_ms, row[number])?;
            }
            writer.end(series, place)?;
            series.truncate(attributes);
        }
        // The client counts points, and one can become several series.
        writer.rejected_points = writer.rejected_points.min(rejected + points);
        Ok(())
    }
}

impl<'a> PointRun<'a> {
    /// Whether a point is the next one of the same series. Points with one time stay apart, as two series.
    fn continues_with(
        &self,
        point: &DataPoint<'a>,
        time_ms: i64,
        values: &[(SeriesColumn, f64)],
    ) -> bool {
        let columns = values.iter().map(|(column, _)| column);
        self.times_ms.last().is_some_and(|last| time_ms > *last)
            && self.first.attributes == point.attributes
            && self.first.parts == point.parts
            && self.columns.iter().eq(columns)
    }

    fn begin(&mut self, index: usize, first: DataPoint<'a>, values: &[(SeriesColumn, f64)]) {
        self.index = index;
        self.first = first;
        self.times_ms.clear();
        self.values.clear();
        self.columns.clear();
        self.columns
            .extend(values.iter().map(|(column, _)| *column));
    }

    fn push(&mut self, time_ms: i64, values: &[(SeriesColumn, f64)]) {
        self.times_ms.push(time_ms);
        self.values.extend(values.iter().map(|(_, value)| value));
    }

    fn memory_bytes(&self) -> usize {
        (self.times_ms.capacity() + self.values.capacity()) * size_of::<f64>()
    }
}

impl<'a> DataPoint<'a> {
    fn read(message: &'a [u8], kind: MetricData) -> Result<Self, MalformedMessage> {
        let mut point = Self::default();
        let is_number = matches!(kind, MetricData::Gauge | MetricData::Sum);
        for field in ProtobufReader::new(message) {
            match field? {
                (number, ProtobufField::Bytes(attribute)) if number == kind.attributes() => {
                    point.parts += 1;
                    if point.parts <= MAX_LABELS {
                        point.attributes.push(attribute);
                    }
                }
                (number, ProtobufField::Varint(flags)) if number == kind.flags() => {
                    point.flags = flags;
                }
                (3, ProtobufField::Fixed64(time)) => point.time_ns = time,
                (4, ProtobufField::Fixed64(bits)) if is_number => {
                    point.value = Some(f64::from_bits(bits));
                }
                (6, ProtobufField::Fixed64(bits)) if is_number => {
                    point.value = Some(bits as i64 as f64);
                }
                (4, ProtobufField::Fixed64(count)) => point.count = count,
                (5, ProtobufField::Fixed64(bits)) => point.sum = Some(f64::from_bits(bits)),
                (6, ProtobufField::Bytes(quantile)) if kind == MetricData::Summary => {
                    point.parts += 1;
                    if point.parts <= MAX_LABELS {
                        point.quantiles.push(read_quantile(quantile)?);
                    }
                }
                _ => {}
            }
        }
        Ok(point)
    }

    /// Adds the attributes of the point, and those of its resource. What is wrong with one of them.
    fn push_attributes<'s>(
        &self,
        resource: &'s ResourceAttributes<'a>,
        series: &mut SourceSeries<'s>,
        writer: &SeriesWriter<'_>,
    ) -> Result<Option<&'static str>, MalformedMessage>
    where
        'a: 's,
    {
        for attribute in &self.attributes {
            match read_attribute(attribute, writer)? {
                Ok((name, text)) => series.push_label(name, text),
                Err(problem) => return Ok(Some(problem)),
            }
        }
        Ok(resource.push_to(series).err())
    }

    /// A value for each series that the point becomes.
    fn values(&self, kind: MetricData) -> Vec<(SeriesColumn, f64)> {
        let column = SeriesColumn::default();
        if matches!(kind, MetricData::Gauge | MetricData::Sum) {
            return self
                .value
                .map(|value| (column, value))
                .into_iter()
                .collect();
        }
        let count = SeriesColumn {
            suffix: "_count",
            unit: Some("1"),
            ..column
        };
        let sum = SeriesColumn {
            suffix: "_sum",
            ..column
        };
        let mut values = vec![(count, self.count as f64)];
        values.extend(self.sum.map(|value| (sum, value)));
        values.extend(self.quantiles.iter().map(|(quantile, value)| {
            let quantile = Some(*quantile);
            (SeriesColumn { quantile, ..column }, *value)
        }));
        values
    }
}

fn read_quantile(message: &[u8]) -> Result<(f64, f64), MalformedMessage> {
    let (mut quantile, mut value) = (0.0, 0.0);
    for field in ProtobufReader::new(message) {
        match field? {
            (1, ProtobufField::Fixed64(bits)) => quantile = f64::from_bits(bits),
            (2, ProtobufField::Fixed64(bits)) => value = f64::from_bits(bits),
            _ => {}
        }
    }
    Ok((quantile, value))
}
