//! A batch as a JSON array, in the form that a host's ingest API takes.

use delfin_plugin_api::{
    Skipped,
    json::{Compact, JsonBatch, JsonWriter},
};

/// Appends a batch to `out`. A row's index in the array is its number in the batch:
/// receivers name rows by it.
pub fn encode<B: JsonBatch>(batch: &B, out: &mut Vec<u8>) -> Skipped {
    let mut writer = JsonWriter::<Compact>::new();
    out.push(b'[');
    for (index, row) in batch.json_rows().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        writer.write(row, out);
    }
    out.push(b']');
    writer.skipped()
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, TEXT_COLUMNS};
    use serde_json::{Value, json};

    use super::*;

    /// A body of the host's ingest API.
    const INGEST: &str = include_str!("ingest.json");

    fn written(batch: &impl JsonBatch) -> (Value, Skipped) {
        let mut out = Vec::new();
        let skipped = encode(batch, &mut out);
        (serde_json::from_slice(&out).unwrap(), skipped)
    }

    #[test]
    fn a_batch_is_written_in_the_form_that_ingest_takes() {
        let ingest: Value = serde_json::from_str(INGEST).unwrap();
        let mut batch = PerformanceBatchBuilder::new();
        for series in ingest.as_array().unwrap() {
            let labels = series["labels"].as_object().unwrap().iter();
            let labels = labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
            let values = series["values"].as_object().unwrap().iter();
            let points = values.map(|(ms, value)| (ms.parse().unwrap(), value.as_f64().unwrap()));
            batch
                .series(series["name"].as_str().unwrap(), labels, points)
                .unwrap();
        }
        assert_eq!(written(&batch.build()), (ingest, Skipped::default()));
    }

    #[test]
    fn an_alert_has_the_columns_of_delfins_model() {
        let mut texts: Vec<_> = TEXT_COLUMNS.iter().map(|&name| (name, name)).collect();
        texts.push(("rack", "7"));
        let mut batch = AlertBatchBuilder::new();
        batch.alert(NewAlert {
            occur_time: 1_700_000_000_000,
            texts: &texts,
        });
        batch.alert(NewAlert {
            occur_time: -1,
            texts: &[],
        });
        let mut first: serde_json::Map<_, _> = texts
            .into_iter()
            .map(|(key, text)| (key.to_owned(), json!(text)))
            .collect();
        first.insert("occur_time".to_owned(), json!(1_700_000_000_000_i64));
        let expected = json!([first, { "occur_time": -1 }]);
        assert_eq!(written(&batch.build()), (expected, Skipped::default()));
    }

    #[test]
    fn nan_and_infinite_points_are_skipped_and_their_series_keeps_its_index() {
        let mut batch = PerformanceBatchBuilder::new();
        let points = [(1, f64::NAN), (2, 2.0), (3, f64::INFINITY)];
        batch.series("a", [("k", "v")], points).unwrap();
        batch
            .series("b", [("", ""); 0], [(1, f64::NEG_INFINITY)])
            .unwrap();
        let (value, skipped) = written(&batch.build());
        let expected = json!([
            { "name": "a", "labels": { "k": "v" }, "values": { "2": 2.0 } },
            { "name": "b", "labels": {}, "values": {} },
        ]);
        assert_eq!(value, expected);
        assert_eq!(skipped.non_finite_points, 3);
    }
}
