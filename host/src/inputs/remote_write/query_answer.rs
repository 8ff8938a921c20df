//! The answer of Prometheus to a query: a picture of the series that it would send.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    ingest::IngestError,
    inputs::{SeriesWriter, SourceSeries, writer::SeriesPlace},
};

#[derive(Deserialize)]
struct QueryAnswer {
    data: QueryData,
}

#[derive(Deserialize)]
struct QueryData {
    result: Vec<QuerySeries>,
}

#[derive(Deserialize)]
struct QuerySeries {
    metric: BTreeMap<String, String>,
    /// Of an instant query.
    value: Option<QuerySample>,
    /// Of a query for a range.
    #[serde(default)]
    values: Vec<QuerySample>,
}

/// Seconds since the Unix epoch, and a value.
#[derive(Deserialize)]
struct QuerySample(f64, String);

/// Adds the series of an answer.
///
/// # Errors
///
/// It has no series with samples, or a limit is exceeded.
pub(in crate::inputs) fn read_query_answer(
    body: &[u8],
    writer: &mut SeriesWriter<'_>,
) -> Result<(), IngestError> {
    let malformed = |error: serde_json::Error| IngestError::Message {
        message: "/api/v1/query",
        reason: error.to_string(),
    };
    let answer: QueryAnswer = serde_json::from_slice(body).map_err(malformed)?;
    for (index, one) in answer.data.result.iter().enumerate() {
        let mut series = SourceSeries::default();
        for (name, text) in &one.metric {
            series.push(&**name, &**text);
        }
        writer.begin(0)?;
        for QuerySample(seconds, value) in one.values.iter().chain(&one.value) {
            let time_ms = (seconds * 1000.0).round() as i64;
            writer.point(time_ms, value.parse().unwrap_or(f64::NAN))?;
        }
        writer.end(&series, SeriesPlace { index, line: None })?;
    }
    Ok(())
}
