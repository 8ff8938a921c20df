//! Batches that exporters have failed on before.

use std::num::NonZeroU64;

use crate::{
    AlertBatch, AlertBatchBuilder, Kind, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
    arrow_array::RecordBatch, batch::Batch, sample,
};

/// Texts that are hard to escape, to split or to display.
const AWKWARD: [&str; 9] = [
    "",
    " ",
    "\"quoted\" \\back\\slash",
    "line\nbreak\r\n\ttab",
    "comma, equals=sign, {braces}",
    "nul\0 and \u{1b}[31m escape",
    "grüße 数据 🦀",
    "\u{202e}right to left\u{feff}",
    "%s %d ${env:HOME} ' ; DROP TABLE",
];

/// A batch without rows.
pub(super) fn empty(kind: Kind) -> RecordBatch {
    match kind {
        Kind::Performance => PerformanceBatchBuilder::new().build().as_arrow().clone(),
        Kind::Alert => AlertBatchBuilder::new().build().as_arrow().clone(),
    }
}

/// A batch of one item.
pub(super) fn one(kind: Kind) -> RecordBatch {
    match kind {
        Kind::Performance => sample::performance(1, 1).as_arrow().clone(),
        Kind::Alert => sample::alerts(1).as_arrow().clone(),
    }
}

/// The points of each series of a large batch.
const LARGE_SERIES: usize = 100;

/// A batch of a million points or of 50,000 alerts, or of as many as the exporter takes at most.
pub(super) fn large(kind: Kind, max_points: Option<NonZeroU64>) -> RecordBatch {
    let most = max_points.and_then(|most| usize::try_from(most.get()).ok());
    let most = most.unwrap_or(usize::MAX);
    match kind {
        Kind::Performance => {
            let rows = (most / LARGE_SERIES).clamp(1, 10_000);
            sample::performance(rows, LARGE_SERIES).as_arrow().clone()
        }
        Kind::Alert => sample::alerts(most.min(50_000)).as_arrow().clone(),
    }
}

/// A batch with awkward names, labels, keys and texts, with a very long text, and with
/// a row without labels or texts.
pub(super) fn awkward(kind: Kind) -> RecordBatch {
    let long = "x".repeat(65_536);
    let texts: Vec<&str> = AWKWARD.into_iter().chain([long.as_str()]).collect();
    match kind {
        Kind::Performance => awkward_series(&texts).as_arrow().clone(),
        Kind::Alert => awkward_alerts(&texts).as_arrow().clone(),
    }
}

/// A batch with NaN, with infinite values, and with the smallest and largest time.
pub(super) fn non_finite() -> RecordBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let values = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        -0.0,
        1.0,
    ];
    let points = (0..).map(|ms| sample::START_MS + ms).zip(values);
    let labels = [
        ("storage_id", "s"),
        ("resource_type", "disk"),
        ("resource_id", "d"),
    ];
    let added = batch.series("iops", labels, points);
    added
        .and_then(|()| batch.series("iops", labels, [(i64::MIN, 1.0), (0, 2.0), (i64::MAX, 3.0)]))
        .ok();
    batch.build().as_arrow().clone()
}

fn awkward_series(texts: &[&str]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        let labels = [
            ("storage_id", *text),
            ("resource_type", "disk"),
            ("resource_id", *text),
            (text, "value"),
        ];
        batch.series("iops", labels, [(sample::START_MS, 1.0)]).ok();
    }
    batch
        .series("no labels", [("", ""); 0], [(sample::START_MS, 1.0)])
        .ok();
    batch.series("no points", [("storage_id", "s")], []).ok();
    batch.build()
}

fn awkward_alerts(texts: &[&str]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for text in texts {
        let texts = [
            ("alert_id", *text),
            ("alert_name", *text),
            ("description", *text),
            (text, "value"),
        ];
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &texts,
        });
    }
    batch.alert(NewAlert {
        occur_time: 0,
        texts: &[],
    });
    batch.build()
}
