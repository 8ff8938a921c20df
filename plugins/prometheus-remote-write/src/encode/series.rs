//! The labels and the points of one series, as remote write wants them.

use std::ops::Range;

use delfin_plugin_api::{Series, prometheus::SeriesNames};

/// A NaN that is not the one by which Prometheus marks the end of a series.
const NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The labels of one series at a time, ordered by their names.
#[derive(Debug, Default)]
pub(crate) struct SeriesLabels {
    names: SeriesNames,
    family: String,
    text: String,
    /// The name and the value of each label in `text`.
    labels: Vec<[Range<usize>; 2]>,
}

impl SeriesLabels {
    /// Replaces the labels by those of a series.
    pub(crate) fn read(&mut self, series: &Series<'_>) {
        self.text.clear();
        self.labels.clear();
        let (text, labels) = (&mut self.text, &mut self.labels);
        let mut push = |name: &str, value: &str| {
            let mut part = |part: &str| {
                let start = text.len();
                text.push_str(part);
                start..text.len()
            };
            labels.push([part(name), part(value)]);
        };
        self.names.read(series, &mut self.family, &mut push);
        push("__name__", &self.family);
        let text = &self.text;
        self.labels
            .sort_unstable_by_key(|[name, _]| &text[name.clone()]);
    }

    /// The name of the metric.
    pub(crate) fn family(&self) -> &str {
        &self.family
    }

    /// The name and the value of each label, `__name__` among them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels
            .iter()
            .map(|[name, value]| (&self.text[name.clone()], &self.text[value.clone()]))
    }
}

/// Replaces `points` by those of a series, in ascending order of their times. Returns how
/// many are left out, because a later one has the same time.
pub(super) fn ascending_points(series: &Series<'_>, points: &mut Vec<(i64, f64)>) -> u64 {
    points.clear();
    points.extend(series.points().map(|(time, value)| {
        let nan = value.is_nan();
        (time, if nan { f64::from_bits(NAN_BITS) } else { value })
    }));
    if points.is_sorted_by(|one, next| one.0 < next.0) {
        return 0;
    }
    points.sort_by_key(|&(time, _)| time);
    let all = points.len();
    points.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            *kept = *next;
        }
        same
    });
    (all - points.len()) as u64
}
