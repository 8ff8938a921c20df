//! A batch as an array of JSON, in the form in which a host takes it in.

use delfin_plugin_api::{
    AlertBatch, Batch, PerformanceBatch, Skipped,
    json::{Compact, Writer},
};

/// A batch that can be written. A row's place in the array is its number.
pub(crate) trait Encode: Batch {
    /// Writes it.
    fn encode(&self, out: &mut Vec<u8>) -> Skipped;
}

impl Encode for PerformanceBatch {
    fn encode(&self, out: &mut Vec<u8>) -> Skipped {
        let mut writer = Writer::<Compact>::new();
        array(self.series(), out, |row, out| writer.write(row, out));
        writer.skipped()
    }
}

impl Encode for AlertBatch {
    fn encode(&self, out: &mut Vec<u8>) -> Skipped {
        let mut writer = Writer::<Compact>::new();
        array(self.alerts(), out, |row, out| writer.write(row, out));
        writer.skipped()
    }
}

fn array<R>(
    rows: impl Iterator<Item = R>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(R, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(row, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatchBuilder, NewAlert, PerformanceBatchBuilder, TEXT_COLUMNS};
    use serde_json::{Value, json};

    use super::*;

    /// What a host takes in.
    const TAKEN_IN: &str = include_str!("encode/taken-in.json");

    fn written(batch: &impl Encode) -> (Value, Skipped) {
        let mut out = Vec::new();
        let skipped = batch.encode(&mut out);
        (serde_json::from_slice(&out).unwrap(), skipped)
    }

    #[test]
    fn what_a_host_takes_in_is_written_in_the_same_form() {
        let taken_in: Value = serde_json::from_str(TAKEN_IN).unwrap();
        let mut batch = PerformanceBatchBuilder::new();
        for series in taken_in.as_array().unwrap() {
            let labels = series["labels"].as_object().unwrap().iter();
            let labels = labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
            let values = series["values"].as_object().unwrap().iter();
            let points = values.map(|(ms, value)| (ms.parse().unwrap(), value.as_f64().unwrap()));
            batch
                .series(series["name"].as_str().unwrap(), labels, points)
                .unwrap();
        }
        assert_eq!(written(&batch.build()), (taken_in, Skipped::default()));
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
    fn points_that_are_no_numbers_are_left_out_and_their_series_keeps_its_place() {
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
