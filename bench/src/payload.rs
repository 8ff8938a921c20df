//! The same series in the form that each program takes. The label `resource_id` begins with [`MARK`],
//! by which sinks count.

use arrow_ipc::writer::StreamWriter;
use delfin_plugin_api::{Batch, PerformanceBatchBuilder, protobuf::ProtobufWriter};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

/// Occurs once in each series, or in each of its points: see [`Form::points_per_mark`].
pub const MARK: &str = "bench-volume-";

/// How many different bodies are sent in turns, so that no two requests in a row are equal.
const BODIES: usize = 64;

const BEGIN_MS: u64 = 1_700_000_000_000;
const INTERVAL_MS: u64 = 60_000;

/// A request: series, and points of each.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub series: usize,
    pub points: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Delfin's JSON, as the host takes it.
    DelfinJson,
    Arrow,
    /// A record for each series, as the HTTP input of Fluent Bit takes it.
    Records,
    /// OTLP in protobuf.
    Otlp,
}

struct Series {
    name: &'static str,
    unit: &'static str,
    volume: String,
    points: Vec<(u64, f64)>,
}

impl Form {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::DelfinJson | Self::Records => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Otlp => "application/x-protobuf",
        }
    }

    /// The points for each mark, in requests and in what the program sends on.
    pub fn points_per_mark(self, shape: Shape) -> usize {
        match self {
            Self::DelfinJson | Self::Records | Self::Arrow => shape.points,
            // Each point has the labels of its series.
            Self::Otlp => 1,
        }
    }

    pub fn bodies(self, shape: Shape) -> Vec<Bytes> {
        let bodies = (0..BODIES).map(|number| {
            let series = series(shape, number);
            match self {
                Self::DelfinJson => delfin_json(&series),
                Self::Arrow => arrow(&series),
                Self::Records => records(&series),
                Self::Otlp => otlp(&series),
            }
        });
        bodies.map(Bytes::from).collect()
    }
}

fn series(shape: Shape, body: usize) -> Vec<Series> {
    const METRICS: [(&str, &str); 3] = [
        ("iops", "IOPS"),
        ("throughput", "MB/s"),
        ("responseTime", "ms"),
    ];
    let series = (0..shape.series).map(|index| {
        let (name, unit) = METRICS[index % METRICS.len()];
        let points = (0..shape.points).map(|point| {
            let time = BEGIN_MS + (body * shape.points + point) as u64 * INTERVAL_MS;
            (
                time,
                ((body * 7919 + index * 31 + point * 17) % 100_000) as f64 / 8.0,
            )
        });
        Series {
            name,
            unit,
            volume: format!("{MARK}{}", index / METRICS.len()),
            points: points.collect(),
        }
    });
    series.collect()
}

impl Series {
    fn labels(&self) -> [(&'static str, &str); 4] {
        [
            ("storage_id", "12345678-1234-1234-1234-123456789abc"),
            ("resource_type", "volume"),
            ("resource_id", &self.volume),
            ("unit", self.unit),
        ]
    }

    fn labels_as_json(&self) -> Map<String, Value> {
        let labels = self.labels().into_iter();
        labels
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect()
    }

    fn values(&self) -> Map<String, Value> {
        let values = self.points.iter();
        values
            .map(|(time, value)| (time.to_string(), json!(value)))
            .collect()
    }
}

fn delfin_json(series: &[Series]) -> Vec<u8> {
    let items = series.iter().map(|series| {
        json!({"name": series.name, "labels": series.labels_as_json(), "values": series.values()})
    });
    Value::from_iter(items).to_string().into_bytes()
}

fn records(series: &[Series]) -> Vec<u8> {
    let items = series.iter().map(|series| {
        let mut record = series.labels_as_json();
        record.insert("name".to_owned(), json!(series.name));
        record.insert("values".to_owned(), Value::Object(series.values()));
        Value::Object(record)
    });
    Value::from_iter(items).to_string().into_bytes()
}

fn arrow(series: &[Series]) -> Vec<u8> {
    let mut batch = PerformanceBatchBuilder::new();
    for series in series {
        let points = series
            .points
            .iter()
            .map(|(time, value)| (*time as i64, *value));
        let added = batch.series(series.name, series.labels(), points);
        added.expect("the series is valid");
    }
    let batch = batch.build();
    let mut stream =
        StreamWriter::try_new(Vec::new(), batch.as_arrow().schema_ref()).expect("a stream");
    stream.write(batch.as_arrow()).expect("rows");
    stream.into_inner().expect("a whole stream")
}

/// The fields are those of opentelemetry/proto/metrics/v1/metrics.proto.
fn otlp(series: &[Series]) -> Vec<u8> {
    let mut request = ProtobufWriter::default();
    request.message(1, |resource_metrics| {
        resource_metrics.message(2, |scope_metrics| {
            for series in series {
                scope_metrics.message(2, |metric| {
                    metric.text(1, series.name);
                    metric.text(3, series.unit);
                    metric.message(5, |gauge| {
                        for (time, value) in &series.points {
                            gauge.message(1, |point| {
                                point.fixed64(3, time * 1_000_000);
                                point.double(4, *value);
                                for (key, value) in series.labels() {
                                    point.message(7, |attribute| {
                                        attribute.text(1, key);
                                        attribute.message(2, |text| text.text(1, value));
                                    });
                                }
                            });
                        }
                    });
                });
            }
        });
    });
    request.as_bytes().to_vec()
}
