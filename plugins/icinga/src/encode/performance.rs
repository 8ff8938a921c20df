//! Points as performance data.

use std::collections::HashMap;

use delfin_plugin_api::{
    PerformanceBatch, Series, Skipped,
    json::{Compact, Style},
};

use super::{CheckResults, ResultBatch, ServiceNames, push_key};

/// A point of a service.
struct ServicePoint {
    service: usize,
    time: i64,
    row: usize,
    value: f64,
}

/// What comes before and after the value in performance data, for each row.
#[derive(Default)]
struct RowLabel {
    before: Vec<u8>,
    unit: &'static str,
}

impl ResultBatch for PerformanceBatch {
    const SERVICE: &'static str = "delfin {resource_type}";
    const LABEL: Option<&'static str> = Some("{resource_name|resource_id} {name}");
    const MAX_ITEMS: u64 = 50_000;

    fn encode(&self, names: &ServiceNames, results: &mut CheckResults) -> Skipped {
        let mut skipped = Skipped::default();
        let mut services: Vec<([String; 2], Vec<usize>)> = Vec::new();
        let mut numbers: HashMap<[String; 2], usize> = HashMap::new();
        let (mut points, mut labels) = (Vec::new(), Vec::new());
        let mut name = [String::new(), String::new()];
        for (row, series) in self.series().enumerate() {
            names.write(series, &mut name);
            let service = match numbers.get(&name) {
                Some(&number) => number,
                None => {
                    services.push((name.clone(), Vec::new()));
                    numbers.insert(name.clone(), services.len() - 1);
                    services.len() - 1
                }
            };
            services[service].1.push(row);
            labels.push(RowLabel::of(series, names));
            for (time, value) in series.points() {
                if !value.is_finite() {
                    skipped.non_finite_points += 1;
                    continue;
                }
                points.push(ServicePoint {
                    service,
                    time,
                    row,
                    value,
                });
            }
        }
        // Icinga takes the results of a service in the order of their times.
        points.sort_by_key(|point| (point.service, point.time));
        let of_service = points.chunk_by(|a, b| a.service == b.service);
        for points in of_service {
            let (name, rows) = &mut services[points[0].service];
            results.add_service(name, std::mem::take(rows), false);
            for points in points.chunk_by(|a, b| a.time == b.time) {
                results.add_result(Some(points[0].time), |out| {
                    write_points(points, &labels, out);
                });
            }
        }
        skipped
    }
}

fn write_points(points: &[ServicePoint], labels: &[RowLabel], out: &mut Vec<u8>) {
    push_key("exit_status", out);
    out.extend_from_slice(b"0,\"plugin_output\":\"OK: ");
    out.extend_from_slice(itoa::Buffer::new().format(points.len()).as_bytes());
    out.extend_from_slice(b" values\",\"performance_data\":[");
    for (number, point) in points.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let label = &labels[point.row];
        out.extend_from_slice(&label.before);
        Compact::number(point.value, out);
        out.extend_from_slice(label.unit.as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}

impl RowLabel {
    fn of(series: Series<'_>, names: &ServiceNames) -> Self {
        let mut label = String::from("'");
        if let Some(template) = &names.label {
            template.write(series, &mut label);
        }
        label.push_str("'=");
        let mut before = Vec::new();
        Compact::text(&label, &mut before);
        // The value follows inside of the quotes.
        before.pop();
        let unit = series.labels().get("unit").unwrap_or_default();
        let known = ["%", "s", "ms", "us", "B", "KB", "MB", "GB", "TB"];
        let unit = known.into_iter().find(|known| *known == unit);
        Self {
            before,
            unit: unit.unwrap_or_default(),
        }
    }
}
