//! Metrics as a request of OTLP: counters as sums, histograms, and everything else as gauges.

use delfin_plugin_api::protobuf::ProtobufWriter;

use super::page::{PageFamily, PageSample};
use crate::platform::machine_name;

const SERVICE: &str = "delfin-host";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u64 = 2;

// The fields of attributes, which each kind of point has elsewhere.
const RESOURCE_ATTRIBUTES: u32 = 1;
const NUMBER_ATTRIBUTES: u32 = 7;
const HISTOGRAM_ATTRIBUTES: u32 = 9;

/// The time of the points.
#[derive(Clone, Copy)]
struct PointTimes {
    start_ns: u64,
    now_ns: u64,
}

/// A histogram of one set of labels.
#[derive(Default)]
struct HistogramPoint<'a> {
    labels: Vec<&'a (&'a str, String)>,
    sum: f64,
    count: u64,
    bounds: Vec<f64>,
    /// Cumulative, with that above the last bound.
    counts: Vec<u64>,
}

/// Writes the request. Times are in nanoseconds since the Unix epoch.
pub(super) fn write_request(
    families: &[PageFamily<'_>],
    start_ns: u64,
    now_ns: u64,
    writer: &mut ProtobufWriter,
) {
    let times = PointTimes { start_ns, now_ns };
    writer.message(1, |resource_metrics| {
        resource_metrics.message(1, |resource| {
            push_attribute(resource, RESOURCE_ATTRIBUTES, "service.name", SERVICE);
            push_attribute(resource, RESOURCE_ATTRIBUTES, "service.version", VERSION);
            push_attribute(resource, RESOURCE_ATTRIBUTES, "host.name", &machine_name());
        });
        resource_metrics.message(2, |scope_metrics| {
            scope_metrics.message(1, |scope| {
                scope.text(1, SERVICE);
                scope.text(2, VERSION);
            });
            for family in families {
                scope_metrics.message(2, |metric| push_metric(metric, family, times));
            }
        });
    });
}

fn push_metric(metric: &mut ProtobufWriter, family: &PageFamily<'_>, times: PointTimes) {
    metric.text(1, family.name);
    metric.text(2, family.help);
    match family.kind {
        "counter" => metric.message(7, |sum| {
            push_numbers(sum, family, times);
            sum.uint(2, CUMULATIVE);
            sum.uint(3, 1);
        }),
        "histogram" => metric.message(9, |histogram| {
            for point in histogram_points(family) {
                histogram.message(1, |writer| push_histogram(writer, &point, times));
            }
            histogram.uint(2, CUMULATIVE);
        }),
        _ => metric.message(5, |gauge| push_numbers(gauge, family, times)),
    }
}

fn push_numbers(writer: &mut ProtobufWriter, family: &PageFamily<'_>, times: PointTimes) {
    for sample in &family.samples {
        writer.message(1, |point| {
            point.fixed64(2, times.start_ns);
            point.fixed64(3, times.now_ns);
            point.double(4, sample.value);
            for (key, value) in &sample.labels {
                push_attribute(point, NUMBER_ATTRIBUTES, key, value);
            }
        });
    }
}

fn push_histogram(writer: &mut ProtobufWriter, point: &HistogramPoint<'_>, times: PointTimes) {
    writer.fixed64(2, times.start_ns);
    writer.fixed64(3, times.now_ns);
    writer.fixed64(4, point.count);
    writer.double(5, point.sum);
    // OTLP counts each bucket by itself, and has numbers of a list one behind the other.
    let mut before = 0;
    for &count in &point.counts {
        writer.fixed64(6, count.saturating_sub(before));
        before = count;
    }
    for &bound in &point.bounds {
        writer.double(7, bound);
    }
    for (key, value) in &point.labels {
        push_attribute(writer, HISTOGRAM_ATTRIBUTES, key, value);
    }
}

/// The histograms of a metric: their samples follow each other.
fn histogram_points<'a>(family: &'a PageFamily<'a>) -> Vec<HistogramPoint<'a>> {
    let mut points: Vec<HistogramPoint<'a>> = Vec::new();
    for sample in &family.samples {
        let labels: Vec<_> = sample
            .labels
            .iter()
            .filter(|(key, _)| *key != "le")
            .collect();
        let position = points.iter().position(|point| point.labels == labels);
        let position = position.unwrap_or_else(|| {
            points.push(HistogramPoint {
                labels,
                ..HistogramPoint::default()
            });
            points.len() - 1
        });
        add(&mut points[position], family.name, sample);
    }
    points
}

fn add(point: &mut HistogramPoint<'_>, name: &str, sample: &PageSample<'_>) {
    match sample.name.strip_prefix(name) {
        Some("_sum") => point.sum = sample.value,
        Some("_count") => point.count = sample.value as u64,
        _ => {
            point.counts.push(sample.value as u64);
            let bound = sample.labels.iter().find(|(key, _)| *key == "le");
            let bound = bound.and_then(|(_, bound)| bound.parse().ok());
            point
                .bounds
                .extend(bound.filter(|bound: &f64| bound.is_finite()));
        }
    }
}

fn push_attribute(writer: &mut ProtobufWriter, field: u32, key: &str, value: &str) {
    writer.message(field, |attribute| {
        attribute.text(1, key);
        attribute.message(2, |any| any.text(1, value));
    });
}
