//! Series as metrics: a gauge or a sum for each series.

use delfin_plugin_api::{PerformanceBatch, Series, protobuf::ProtobufWriter};

use super::{EncodedItems, OtlpBatch, nanos, push_attribute, push_resource, push_scope};

/// What the name of each metric begins with: OpenTelemetry does not allow a digit there.
const PREFIX: &str = "delfin.";

/// Labels that are in the resource, or in the metric itself. The label `name` is that of the
/// storage.
const NOT_ATTRIBUTES: [&str; 6] = [
    "storage_id",
    "name",
    "storage_name",
    "serial_number",
    "unit",
    "value_type",
];

const CUMULATIVE: u64 = 2;

/// Buffers for one series after the other.
#[derive(Default)]
struct SeriesBuffers {
    name: String,
    /// The attributes of each point, encoded.
    attributes: ProtobufWriter,
}

impl OtlpBatch for PerformanceBatch {
    const PATH: &str = "/v1/metrics";

    const METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn encode(&self, request: &mut ProtobufWriter) -> EncodedItems {
        let mut encoded = EncodedItems::default();
        let mut buffers = SeriesBuffers::default();
        let mut series = self.series().peekable();
        while let Some(first) = series.next() {
            let storage = storage_of(&first);
            request.message(1, |resource_metrics| {
                push_resource(resource_metrics, |key| resource_label(&first, key));
                resource_metrics.message(2, |scope_metrics| {
                    push_scope(scope_metrics);
                    push_metric(&first, &mut buffers, scope_metrics, &mut encoded);
                    while let Some(next) = series.next_if(|next| storage_of(next) == storage) {
                        push_metric(&next, &mut buffers, scope_metrics, &mut encoded);
                    }
                });
            });
        }
        encoded
    }
}

fn storage_of<'a>(series: &Series<'a>) -> [Option<&'a str>; 3] {
    ["storage_id", "storage_name", "serial_number"].map(|key| resource_label(series, key))
}

fn resource_label<'a>(series: &Series<'a>, key: &str) -> Option<&'a str> {
    match key {
        "storage_name" => series.storage_name(),
        "storage_id" | "serial_number" => series.labels().get(key),
        _ => None,
    }
}

fn push_metric(
    series: &Series<'_>,
    buffers: &mut SeriesBuffers,
    scope_metrics: &mut ProtobufWriter,
    encoded: &mut EncodedItems,
) {
    let labels = series.labels();
    let SeriesBuffers { name, attributes } = buffers;
    name.clear();
    name.push_str(PREFIX);
    if let Some(resource) = labels.get("resource_type").filter(|kind| !kind.is_empty()) {
        push_name(name, resource);
        name.push('.');
    }
    push_name(name, series.name());
    attributes.clear(usize::MAX);
    for (key, value) in labels
        .iter()
        .filter(|(key, _)| !NOT_ATTRIBUTES.contains(key))
    {
        push_attribute(attributes, 7, key, value);
    }
    scope_metrics.message(2, |metric| {
        metric.text(1, name);
        if let Some(unit) = labels.get("unit").filter(|unit| !unit.is_empty()) {
            metric.text(3, unit);
        }
        if labels.get("value_type") == Some("counter") {
            metric.message(7, |sum| {
                push_points(series, attributes, sum, encoded);
                sum.uint(2, CUMULATIVE);
                sum.uint(3, 1);
            });
        } else {
            metric.message(5, |gauge| push_points(series, attributes, gauge, encoded));
        }
    });
}

fn push_points(
    series: &Series<'_>,
    attributes: &ProtobufWriter,
    data: &mut ProtobufWriter,
    encoded: &mut EncodedItems,
) {
    for (time, value) in series.points() {
        let Some(nanos) = nanos(time) else {
            encoded.skipped_times += 1;
            continue;
        };
        encoded.items += 1;
        data.message(1, |point| {
            point.fixed64(3, nanos);
            point.double(4, value);
            point.append(attributes);
        });
    }
}

/// Appends a part of a name, with `_` for each character that a name cannot have.
fn push_name(to: &mut String, name: &str) {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    to.extend(name.chars().map(|c| if valid(c) { c } else { '_' }));
}
