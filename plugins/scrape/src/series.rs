//! Series of what a page has.

use delfin_plugin_api::{BatchError, PerformanceBatch, PerformanceBatchBuilder};

use crate::mapping::{
    PageReading, ReadResource, ReadValue, ScrapeMapping, TOTALS, TargetValue, TotalSeries,
};

/// A series of a resource: name, unit, value, time.
struct ReadSeries<'a> {
    name: &'a str,
    unit: &'a str,
    value: f64,
    time_ms: i64,
}

/// The series of a page. `storage_id` is the id of the storage as a resource.
pub(crate) fn series(
    reading: &PageReading,
    mapping: &ScrapeMapping,
    storage_id: &str,
) -> Result<PerformanceBatch, BatchError> {
    let mut batch = PerformanceBatchBuilder::new();
    for resource in &reading.resources {
        let mut series = of_resource(resource, mapping, reading.time_ms);
        for total in &TOTALS {
            series.extend(total_series(total, &series));
        }
        let id = match &*resource.id {
            "" => storage_id,
            id => id,
        };
        for one in series {
            batch.label("resource_type", resource.resource_type.as_str());
            batch.label("resource_id", id);
            if let Some(name) = &resource.name {
                batch.label("resource_name", name);
            }
            batch.label("unit", one.unit);
            batch.point(one.time_ms, one.value);
            batch.end_series(one.name)?;
        }
    }
    Ok(batch.build())
}

fn of_resource<'a>(
    resource: &ReadResource,
    mapping: &'a ScrapeMapping,
    time_ms: i64,
) -> Vec<ReadSeries<'a>> {
    let values = resource.values.iter();
    let series = values.filter_map(|(target, value)| {
        let (TargetValue::Series(metric), ReadValue::Number(number)) =
            (&mapping.targets[*target].what, value)
        else {
            return None;
        };
        Some(ReadSeries {
            name: &metric.name,
            unit: &metric.unit,
            value: number.value().filter(|value| value.is_finite())?,
            time_ms: number.time_ms.unwrap_or(time_ms),
        })
    });
    series.collect()
}

/// A series that follows from those of reads and writes.
fn total_series<'a>(total: &TotalSeries, series: &[ReadSeries<'a>]) -> Option<ReadSeries<'a>> {
    let find = |name: &str| series.iter().find(|one| one.name == name);
    if find(total.name).is_some() {
        return None;
    }
    let [Some(read), Some(write)] = total.of.map(find) else {
        return weighted_alone(total, series);
    };
    let value = match total.weights {
        None => read.value + write.value,
        Some(weights) => {
            let [reads, writes] = weights.map(|weight| find(weight).map(|one| one.value));
            let (reads, writes) = (reads?, writes?);
            let operations = reads + writes;
            if operations <= 0.0 {
                return None;
            }
            (read.value * reads + write.value * writes) / operations
        }
    };
    Some(named(total, read, value))
}

/// Where an average is missing because there was no such operation, the other one is the total.
fn weighted_alone<'a>(total: &TotalSeries, series: &[ReadSeries<'a>]) -> Option<ReadSeries<'a>> {
    let find = |name: &str| series.iter().find(|one| one.name == name);
    let weights = total.weights?;
    let known = total.of.iter().position(|part| find(part).is_some())?;
    let other = find(weights[1 - known])?;
    let one = find(total.of[known])?;
    (other.value == 0.0).then(|| named(total, one, one.value))
}

fn named<'a>(total: &TotalSeries, part: &ReadSeries<'a>, value: f64) -> ReadSeries<'a> {
    ReadSeries {
        name: total.name,
        unit: part.unit,
        value,
        time_ms: part.time_ms,
    }
}
