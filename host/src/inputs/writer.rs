//! Builds a batch of series, by the mappings of an input.

use std::collections::BTreeMap;

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};

use super::{
    MappedSeries, MappingResult, SeriesMappings, SourceSeries,
    mapping::{SeriesFields, SeriesRule},
    source::{NAME, TYPE, UNIT},
};
use crate::ingest::{
    BodyLimits, IngestError, IngestNotes, ItemError, ItemRejection, MAX_LABELS, ParseGuard,
    ParsedItems, RejectedItems, TimeReader, TimestampCheck, excerpt,
};

/// Series between two looks at the clock and the memory.
const SERIES_PER_CHECK: usize = 64;

/// Points of a series between two looks.
pub(super) const POINTS_PER_CHECK: usize = 4096;

/// The NaN by which Prometheus says that a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

const NO_STORAGE: ItemError = ItemError::NoStorage { kind: "series" };

/// What a label is called whose name is that of one of Delfin's, as Prometheus does.
const EXPORTED: &str = "exported_";

/// Why a point is not in the batch although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// A rule with `ignore` is for its series.
    Ignored,
    /// It only says that the series has ended.
    Stale,
    /// It is infinite or not a number.
    NotFinite,
    /// It is a text, or the client says that it has no value.
    NoNumber,
}

/// Numbers of points by the reason why they are not in the batch.
#[derive(Clone, Debug, Default)]
pub struct SkipCounts(BTreeMap<SkipReason, u64>);

/// The series of a body.
#[derive(Debug)]
pub struct ParsedSeries {
    pub items: ParsedItems<PerformanceBatch>,
    /// Points of the series that were refused.
    pub rejected_points: u64,
    pub skipped: SkipCounts,
    /// What became of each series, if the writer reports it.
    pub reports: Vec<MappedSeries>,
}

/// Builds the batch, within the limits of a body.
pub struct SeriesWriter<'m> {
    mappings: &'m SeriesMappings,
    limits: BodyLimits,
    guard: ParseGuard,
    batch: PerformanceBatchBuilder,
    now_ms: i64,
    times: TimeReader,
    repeated: TimestampCheck,
    rejected: RejectedItems,
    pub(super) rejected_points: u64,
    notes: IngestNotes,
    skipped: SkipCounts,
    /// Series so far.
    count: usize,
    /// Bytes of the rows, each with its own copy of its texts.
    row_bytes: u64,
    /// The labels of Delfin's that the current series has.
    labels: Vec<(&'static str, String)>,
    points: Vec<(i64, f64)>,
    reports: Option<Vec<MappedSeries>>,
}

/// Where a series is in the body.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPlace {
    /// From 0.
    pub index: usize,
    /// From 1, if the body has lines.
    pub line: Option<usize>,
}

impl SkipReason {
    pub const ALL: [Self; 4] = [Self::Ignored, Self::Stale, Self::NotFinite, Self::NoNumber];

    /// The reason as a label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Stale => "stale",
            Self::NotFinite => "not_finite",
            Self::NoNumber => "no_number",
        }
    }
}

impl SkipCounts {
    pub(super) fn add(&mut self, reason: SkipReason, points: u64) {
        *self.0.entry(reason).or_default() += points;
    }

    #[must_use]
    pub fn get(&self, reason: SkipReason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The numbers that are not 0.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, u64)> {
        self.0.iter().map(|(reason, points)| (*reason, *points))
    }
}

impl<'m> SeriesWriter<'m> {
    /// `now_ms` decides which times are in the future.
    #[must_use]
    pub fn new(
        mappings: &'m SeriesMappings,
        limits: &BodyLimits,
        now_ms: i64,
        guard: ParseGuard,
    ) -> Self {
        Self {
            mappings,
            limits: *limits,
            guard,
            batch: PerformanceBatchBuilder::new(),
            now_ms,
            times: TimeReader::new(now_ms),
            repeated: TimestampCheck::default(),
            rejected: RejectedItems::default(),
            rejected_points: 0,
            notes: IngestNotes::default(),
            skipped: SkipCounts::default(),
            count: 0,
            row_bytes: 0,
            labels: Vec::new(),
            points: Vec::new(),
            reports: None,
        }
    }

    /// Reports what becomes of each series, for commands: the memory of the reports has no limit.
    #[must_use]
    pub fn with_reports(mut self) -> Self {
        self.reports = Some(Vec::new());
        self
    }

    /// The batch.
    #[must_use]
    pub fn finish(self) -> ParsedSeries {
        ParsedSeries {
            items: ParsedItems::new(self.batch.build(), self.rejected, self.notes, self.guard),
            rejected_points: self.rejected_points,
            skipped: self.skipped,
            reports: self.reports.unwrap_or_default(),
        }
    }

    /// When the body was received.
    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn max_string_bytes(&self) -> u64 {
        self.limits.max_string_bytes
    }

    /// Looks at the clock and the memory; the decoder itself uses `bytes`.
    ///
    /// # Errors
    ///
    /// A limit is exceeded.
    pub(super) fn check(&mut self, bytes: usize) -> Result<(), IngestError> {
        let points = self.points.capacity() * size_of::<(i64, f64)>();
        let made = self.batch.memory_bytes() + self.repeated.memory_bytes() + points;
        self.guard.check(made + bytes)
    }

    /// Begins a series.
    ///
    /// # Errors
    ///
    /// A limit is exceeded.
    pub(super) fn begin(&mut self, decoder_bytes: usize) -> Result<(), IngestError> {
        let limit = self.limits.max_rows;
        if self.count as u64 >= limit {
            return Err(IngestError::TooManyRows { limit });
        }
        if self.count.is_multiple_of(SERIES_PER_CHECK) {
            self.check(decoder_bytes)?;
        }
        self.count += 1;
        self.points.clear();
        Ok(())
    }

    /// Adds a point to the current series, unless it has no number.
    ///
    /// # Errors
    ///
    /// A limit is exceeded.
    pub(super) fn point(&mut self, time_ms: i64, value: f64) -> Result<(), IngestError> {
        if value.to_bits() == STALE {
            self.skip(SkipReason::Stale, 1);
        } else if value.is_finite() {
            self.points.push((time_ms, value));
            if self.points.len().is_multiple_of(POINTS_PER_CHECK) {
                return self.check(self.points.capacity() * size_of::<(i64, f64)>());
            }
        } else {
            self.skip(SkipReason::NotFinite, 1);
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, reason: SkipReason, points: u64) {
        self.skipped.add(reason, points);
    }

    /// Refuses the current series, which cannot be read, with `points` in addition to those that were added.
    pub(super) fn reject(&mut self, place: SeriesPlace, name: &str, error: ItemError, points: u64) {
        let mut source = SourceSeries::default();
        source.push(NAME, name);
        self.report(&source, place, None, MappingResult::Rejected(error.clone()));
        self.count_rejected(place, name, error, points);
    }

    fn report(
        &mut self,
        source: &SourceSeries<'_>,
        place: SeriesPlace,
        rule: Option<&SeriesRule>,
        result: MappingResult,
    ) {
        if let Some(reports) = &mut self.reports {
            reports.push(MappedSeries {
                line: place.line,
                source: source.to_owned(),
                rule: rule.map(|rule| rule.origin.clone()),
                result,
            });
        }
    }

    fn count_rejected(&mut self, place: SeriesPlace, name: &str, error: ItemError, points: u64) {
        self.rejected_points += points + self.points.len() as u64;
        self.rejected.push(ItemRejection {
            index: place.index,
            line: place.line,
            name: (!name.is_empty()).then(|| excerpt(name)),
            error,
        });
    }

    /// Ends the current series. One without points is left out.
    ///
    /// # Errors
    ///
    /// A limit of the whole body is exceeded.
    pub(super) fn end(
        &mut self,
        series: &SourceSeries<'_>,
        place: SeriesPlace,
    ) -> Result<(), IngestError> {
        let (rule, result) = self.add_mapped(series);
        if let MappingResult::Rejected(error) = &result {
            self.batch.discard_series();
            let name = series.get(NAME).unwrap_or_default();
            self.count_rejected(place, name, error.clone(), 0);
        }
        self.report(series, place, rule, result);
        let limit = self.limits.max_decompressed_bytes;
        if self.row_bytes > limit {
            return Err(IngestError::TooManyRowBytes { limit });
        }
        Ok(())
    }

    /// Adds the current series as its rule says.
    fn add_mapped(&mut self, series: &SourceSeries<'_>) -> (Option<&'m SeriesRule>, MappingResult) {
        if self.points.is_empty() {
            return (None, MappingResult::NoPoints);
        }
        let limit = self.limits.max_string_bytes;
        if let Some((key, bytes)) = series.too_long(limit) {
            let field = excerpt(key);
            let error = ItemError::TextTooLong {
                field,
                bytes,
                limit,
            };
            return (None, MappingResult::Rejected(error));
        }
        let mappings = self.mappings;
        let rule = mappings.find(series);
        let result = match rule.map(|rule| rule.fields.as_ref()) {
            Some(Some(fields)) => match self.add(series, fields) {
                Ok(()) => MappingResult::Accepted,
                Err(error) => MappingResult::Rejected(error),
            },
            Some(None) => {
                self.skip(SkipReason::Ignored, self.points.len() as u64);
                MappingResult::Ignored
            }
            None => MappingResult::Rejected(NO_STORAGE),
        };
        (rule, result)
    }

    fn add(&mut self, series: &SourceSeries<'_>, fields: &SeriesFields) -> Result<(), ItemError> {
        let name = match &fields.name {
            Some(name) => name.fill(series),
            None => series.get(NAME).unwrap_or_default().to_owned(),
        };
        let prefix = fields
            .name_prefix
            .as_ref()
            .map(|prefix| prefix.fill(series));
        let name = prefix
            .and_then(|prefix| name.strip_prefix(&prefix))
            .unwrap_or(&name);
        if name.is_empty() {
            let remedy = "is empty (send a name, or set `name` in the rule of the mapping file)";
            return Err(invalid("name", remedy));
        }
        if series.has_two_names() {
            return Err(invalid("labels", &format!("label `{NAME}` comes twice")));
        }
        self.limits.check_text("name", name)?;
        self.fill_labels(series, fields)?;
        let mut bytes = name.len();
        for (key, text) in &self.labels {
            self.limits.check_text(key, text)?;
            self.batch.label(key, text);
            bytes += key.len() + text.len();
        }
        bytes += self.add_further_labels(series, &fields.drop_labels)?;
        let mut notes = IngestNotes::default();
        for (time, value) in &self.points {
            let time = self.times.check(*time, &mut notes);
            let time = time.map_err(|reason| invalid("time", &reason))?;
            let value = value * fields.scale;
            if !value.is_finite() {
                return Err(invalid("value", "is infinite with the `scale` of its rule"));
            }
            self.batch.point(time, value);
        }
        if let Some(time) = self.repeated.repeated(self.batch.timestamps()) {
            return Err(invalid("time", &format!("`{time}` comes twice")));
        }
        let ended = self.batch.end_series(name);
        ended.map_err(|error| invalid("labels", &error.to_string()))?;
        self.notes.take(&mut notes);
        self.row_bytes += (bytes + self.points.len() * size_of::<(i64, f64)>()) as u64;
        Ok(())
    }

    /// The labels of Delfin's, with their defaults.
    fn fill_labels(
        &mut self,
        series: &SourceSeries<'_>,
        fields: &SeriesFields,
    ) -> Result<(), ItemError> {
        self.labels.clear();
        for (label, field) in &fields.labels {
            let text = field.fill(series);
            if !text.is_empty() {
                self.labels.push((label, text));
            }
        }
        let storage_id = self.label("storage_id").ok_or(NO_STORAGE)?;
        let storage_id = storage_id.to_owned();
        self.add_default("resource_type", || "storage".to_owned());
        if self.label("resource_type") == Some("storage") {
            self.add_default("resource_id", || storage_id);
        }
        if let Some(id) = self.label("resource_id").map(str::to_owned) {
            self.add_default("resource_name", || id);
        }
        self.add_default("type", || "RAW".to_owned());
        let unit = series.get(UNIT).unwrap_or_default();
        self.add_default("unit", || unit.to_owned());
        let counts = |known: &&str| ["counter", "delta"].contains(known);
        let value_type = series.get(TYPE).filter(counts).unwrap_or("gauge");
        self.add_default("value_type", || value_type.to_owned());
        Ok(())
    }

    fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find_map(|(key, text)| (*key == name).then_some(&**text))
    }

    fn add_default(&mut self, name: &'static str, text: impl FnOnce() -> String) {
        if self.label(name).is_none() {
            let text = text();
            if !text.is_empty() {
                self.labels.push((name, text));
            }
        }
    }

    /// Adds the labels of the series itself. One with the name of a label of Delfin's gets another name, unless both say the same.
    fn add_further_labels(
        &mut self,
        series: &SourceSeries<'_>,
        dropped: &[String],
    ) -> Result<usize, ItemError> {
        let mut bytes = 0;
        let mut count = self.labels.len();
        let is_kept = |key: &str| dropped.iter().all(|one| one != key);
        for (key, text) in series.labels().filter(|(key, _)| is_kept(key)) {
            let exported;
            let key = match self.label(key) {
                Some(same) if same == text => continue,
                Some(_) => {
                    exported = format!("{EXPORTED}{key}");
                    &exported
                }
                None => key,
            };
            if key.is_empty() {
                return Err(invalid("labels", "a label has no name"));
            }
            if self.batch.has_label(key) {
                let reason = format!("label `{}` comes twice", excerpt(key));
                return Err(invalid("labels", &reason));
            }
            if count == MAX_LABELS {
                let reason = format!("has more than {MAX_LABELS} labels");
                return Err(invalid("labels", &reason));
            }
            self.batch.label(key, text);
            bytes += key.len() + text.len();
            count += 1;
        }
        Ok(bytes)
    }
}

fn invalid(field: &'static str, reason: &str) -> ItemError {
    ItemError::Invalid {
        field: Some(field),
        reason: reason.to_owned(),
    }
}
