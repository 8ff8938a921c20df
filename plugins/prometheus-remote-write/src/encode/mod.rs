//! Rows as a request of remote write, in both versions of the protocol.
//!
//! Promises: the labels of a series are ordered by their names, and its points by their
//! times; no time occurs twice in a row.
//!
//! Knows nothing of connections.

mod series;
mod symbols;

use std::{collections::HashSet, ops::Range};

use delfin_plugin_api::{Series, protobuf::ProtobufWriter};

pub(crate) use self::series::SeriesLabels;
use self::{series::ascending_points, symbols::SymbolTable};

/// Bytes of each buffer to keep from one request to the next.
const BUFFER_BYTES: usize = 4 << 20;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    #[default]
    V2,
}

/// A request. Its buffers serve the next request too.
#[derive(Debug, Default)]
pub struct WriteRequest {
    protocol: Protocol,
    message: ProtobufWriter,
    samples: u64,
    /// For each row the number of its points.
    row_samples: Vec<u64>,
    repeated_times: u64,
    labels: SeriesLabels,
    points: Vec<(i64, f64)>,
    symbols: SymbolTable,
    /// Version 1 has the metadata of a metric once, and not with its series.
    described: HashSet<String>,
}

impl WriteRequest {
    /// Removes all rows, and chooses the version of the next ones.
    pub fn clear(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.message.clear(BUFFER_BYTES);
        self.samples = 0;
        self.row_samples.clear();
        self.repeated_times = 0;
        self.symbols.clear();
        self.described.clear();
    }

    /// Adds a series with its points. Of points with the same time, the last counts.
    pub fn push(&mut self, series: &Series<'_>) {
        self.repeated_times += ascending_points(series, &mut self.points);
        self.labels.read(series);
        self.push_points(series, 0..self.points.len());
    }

    /// Replaces the points of the series that was added last, which was alone, by one of them.
    pub(crate) fn keep_only(&mut self, series: &Series<'_>, point: usize) {
        self.clear(self.protocol);
        self.push_points(series, point..point + 1);
    }

    /// Completes the request, and returns its bytes.
    pub fn finish(&mut self) -> &[u8] {
        if self.protocol == Protocol::V2 {
            self.symbols.write(&mut self.message);
        }
        self.message.as_bytes()
    }

    /// The version of the request.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The number of points in the request.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// The number of points of a row.
    pub(crate) fn samples_of(&self, row: usize) -> u64 {
        self.row_samples[row]
    }

    /// Points that are left out, because a later one has the same time.
    pub(crate) fn repeated_times(&self) -> u64 {
        self.repeated_times
    }

    fn push_points(&mut self, series: &Series<'_>, points: Range<usize>) {
        self.samples += points.len() as u64;
        self.row_samples.push(points.len() as u64);
        match self.protocol {
            Protocol::V1 => self.push_v1(series, points),
            Protocol::V2 => self.push_v2(series, points),
        }
    }

    fn push_v1(&mut self, series: &Series<'_>, points: Range<usize>) {
        self.message.message(1, |written| {
            for (name, value) in self.labels.iter() {
                written.message(1, |label| {
                    label.text(1, name);
                    label.text(2, value);
                });
            }
            push_samples(written, &self.points[points]);
        });
        let family = self.labels.family();
        if !self.described.contains(family) {
            self.described.insert(family.to_owned());
            self.message.message(3, |metadata| {
                metadata.uint(1, metric_type(series));
                metadata.text(2, family);
                metadata.text(5, unit(series));
            });
        }
    }

    fn push_v2(&mut self, series: &Series<'_>, points: Range<usize>) {
        self.message.message(5, |written| {
            written.message(1, |references| {
                for (name, value) in self.labels.iter() {
                    references.varint(self.symbols.reference(name));
                    references.varint(self.symbols.reference(value));
                }
            });
            push_samples(written, &self.points[points]);
            written.message(5, |metadata| {
                metadata.uint(1, metric_type(series));
                metadata.uint(4, self.symbols.reference(unit(series)));
            });
        });
    }
}

/// Both versions have the same field for samples.
fn push_samples(series: &mut ProtobufWriter, points: &[(i64, f64)]) {
    for &(time, value) in points {
        series.message(2, |sample| {
            sample.double(1, value);
            sample.uint(2, time as u64);
        });
    }
}

fn unit<'a>(series: &Series<'a>) -> &'a str {
    series.labels().get("unit").unwrap_or_default()
}

/// Counters and gauges have the same number in both versions.
fn metric_type(series: &Series<'_>) -> u64 {
    match series.labels().get("value_type") {
        Some("counter") => 1,
        Some(_) | None => 2,
    }
}

#[cfg(test)]
mod tests;
