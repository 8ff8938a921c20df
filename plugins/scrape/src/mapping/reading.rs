//! Turns the samples of a page into what a mapping says.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
};

use super::{Combination, MappedType, MetricRules, ScrapeMapping, ValueRule, ValueSource};
use crate::{
    decode::ScrapedSample,
    state::{CounterIncrease, CounterState},
};

/// What is known of a storage after a page.
#[derive(Debug, Default)]
pub(crate) struct PageReading {
    pub resources: Vec<ReadResource>,
    pub alerts: Vec<ReadAlert>,
    /// When the page was asked for.
    pub time_ms: i64,
    /// The metrics for which there is no rule.
    pub unused: BTreeSet<String>,
    /// The first arrays, if the mapping knows the label that names them.
    pub(crate) arrays: Vec<String>,
    /// Samples that a rule has taken.
    pub mapped: u64,
    /// Samples that a rule would have taken if they had a number.
    pub not_finite: u64,
    /// Samples for a value that another sample had already set.
    pub repeated: u64,
}

#[derive(Debug)]
pub(crate) struct ReadResource {
    pub resource_type: MappedType,
    /// Empty for the storage itself.
    pub id: String,
    pub name: Option<String>,
    /// By the index of their target.
    pub values: Vec<(usize, ReadValue)>,
    pub texts: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) enum ReadValue {
    Number(ReadNumber),
    Text(String),
}

/// A number, or a quotient of two.
#[derive(Debug, Default)]
pub(crate) struct ReadNumber {
    number: Option<f64>,
    divisor: Option<f64>,
    is_quotient: bool,
    /// The time in the page, if it has one.
    pub time_ms: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct ReadAlert {
    pub occur_time: Option<i64>,
    pub columns: Vec<(&'static str, String)>,
}

/// Reads the samples of a page.
pub(crate) struct PageReader<'m> {
    mapping: &'m ScrapeMapping,
    select: &'m [(String, String)],
    /// `None`: counters make no values.
    counters: Option<&'m mut CounterState>,
    reading: PageReading,
    index: [HashMap<String, usize>; MappedType::ALL.len()],
    /// The id of a resource, in a buffer that is used again.
    id: String,
    /// The rules for the last name: samples of a metric follow each other.
    last: Option<(String, Option<&'m MetricRules>)>,
}

impl ReadNumber {
    /// The value; `None` without an increase, or if nothing was counted.
    #[must_use]
    pub(crate) fn value(&self) -> Option<f64> {
        let number = self.number?;
        if !self.is_quotient {
            return Some(number);
        }
        let divisor = self.divisor.filter(|divisor| *divisor > 0.0)?;
        Some(number / divisor)
    }
}

impl<'m> PageReader<'m> {
    pub(crate) fn new(
        mapping: &'m ScrapeMapping,
        select: &'m [(String, String)],
        counters: Option<&'m mut CounterState>,
    ) -> Self {
        Self {
            mapping,
            select,
            counters,
            reading: PageReading::default(),
            index: Default::default(),
            id: String::new(),
            last: None,
        }
    }

    pub(crate) fn finish(self, time_ms: i64) -> PageReading {
        PageReading {
            time_ms,
            ..self.reading
        }
    }

    pub(crate) fn read(&mut self, sample: &ScrapedSample<'_>) {
        let Some(rules) = self.rules(sample.name) else {
            return;
        };
        let is_selected = |(label, value): &(String, String)| sample.label(label) == Some(value);
        if !self.select.iter().all(is_selected) {
            return;
        }
        if !sample.value.is_finite() {
            self.reading.not_finite += 1;
            return;
        }
        self.note_array(sample);
        // A counter has one increase, however many rules use it.
        let mut increase = None;
        for rule in rules.values.iter().filter(|rule| rule.when.matches(sample)) {
            let Some(resource) = self.resource(rule, sample) else {
                continue;
            };
            self.reading.mapped += 1;
            self.take(rule, resource, sample, &mut increase);
        }
        for rule in rules.alerts.iter().filter(|rule| rule.when.matches(sample)) {
            self.reading.mapped += 1;
            if sample.value == 0.0 {
                continue;
            }
            let columns = rule.columns.iter();
            let columns = columns
                .filter_map(|(name, source)| Some((*name, source.text(sample)?)))
                .collect();
            let time = rule.occur_time.as_deref();
            let time = time.and_then(|label| sample.label(label));
            self.reading.alerts.push(ReadAlert {
                occur_time: time.and_then(|time| time.parse().ok()),
                columns,
            });
        }
    }

    /// Two names are enough to tell one array from several.
    fn note_array(&mut self, sample: &ScrapedSample<'_>) {
        let label = self.mapping.array.as_deref();
        let Some(array) = label.and_then(|label| sample.label(label)) else {
            return;
        };
        let arrays = &mut self.reading.arrays;
        if arrays.len() < 2 && arrays.iter().all(|known| known != array) {
            arrays.push(array.to_owned());
        }
    }

    fn rules(&mut self, name: &str) -> Option<&'m MetricRules> {
        if let Some((last, rules)) = &self.last
            && last == name
        {
            return *rules;
        }
        let rules = self.mapping.rules(name);
        if rules.is_none() && !self.reading.unused.contains(name) {
            self.reading.unused.insert(name.to_owned());
        }
        let mut last = self.last.take().map(|(last, _)| last).unwrap_or_default();
        name.clone_into(&mut last);
        self.last = Some((last, rules));
        rules
    }

    /// The index of the resource of a sample; `None` if the sample does not have its labels.
    fn resource(&mut self, rule: &ValueRule, sample: &ScrapedSample<'_>) -> Option<usize> {
        let mapped = &self.mapping.resources[rule.resource];
        let mut id = mem::take(&mut self.id);
        id.clear();
        let has_id = mapped
            .id
            .as_ref()
            .is_none_or(|template| template.write(sample, &mut id) && !id.is_empty());
        if !has_id {
            self.id = id;
            return None;
        }
        let index = &mut self.index[mapped.resource_type as usize];
        let resources = &mut self.reading.resources;
        let resource = index.get(&id).copied().unwrap_or_else(|| {
            index.insert(id.clone(), resources.len());
            resources.push(ReadResource {
                resource_type: mapped.resource_type,
                id: id.clone(),
                name: None,
                values: Vec::new(),
                texts: BTreeMap::new(),
            });
            resources.len() - 1
        });
        self.id = id;
        let read = &mut resources[resource];
        if let (None, Some(template)) = (&read.name, &mapped.name) {
            let mut name = String::new();
            read.name = template.write(sample, &mut name).then_some(name);
        }
        for (field, template) in &mapped.texts {
            if !read.texts.contains_key(field) {
                let mut text = String::new();
                if template.write(sample, &mut text) {
                    read.texts.insert(field.clone(), text);
                }
            }
        }
        Some(resource)
    }

    fn take(
        &mut self,
        rule: &ValueRule,
        resource: usize,
        sample: &ScrapedSample<'_>,
        known: &mut Option<Option<CounterIncrease>>,
    ) {
        let counters = &mut self.counters;
        let mut increase = || {
            *known.get_or_insert_with(|| {
                let counters = counters.as_deref_mut();
                counters.and_then(|counters| counters.increase(sample))
            })
        };
        let number = match &rule.source {
            ValueSource::Number => Some(sample.value),
            ValueSource::Rate => increase().map(|increase| increase.by / increase.seconds),
            ValueSource::Dividend | ValueSource::Divisor => increase().map(|increase| increase.by),
            ValueSource::Text { label, table } => {
                let text = ValueSource::text(sample, label.as_deref(), table.as_ref());
                if let Some(text) = text {
                    self.put_text(rule, resource, text);
                }
                return;
            }
        };
        if let Some(number) = number {
            self.put_number(rule, resource, number * rule.factor, sample.time_ms);
        }
    }

    fn put_text(&mut self, rule: &ValueRule, resource: usize, text: String) {
        let values = &mut self.reading.resources[resource].values;
        let mut known = values.iter().filter(|(target, _)| *target == rule.target);
        if let Some((_, known)) = known.next() {
            let is_same = matches!(known, ReadValue::Text(known) if *known == text);
            self.reading.repeated += u64::from(!is_same);
            return;
        }
        values.push((rule.target, ReadValue::Text(text)));
    }

    fn put_number(&mut self, rule: &ValueRule, resource: usize, number: f64, time_ms: Option<i64>) {
        let values = &mut self.reading.resources[resource].values;
        let place = values.iter().position(|(target, _)| *target == rule.target);
        let place = place.unwrap_or_else(|| {
            values.push((rule.target, ReadValue::Number(ReadNumber::default())));
            values.len() - 1
        });
        let ReadValue::Number(value) = &mut values[place].1 else {
            return;
        };
        value.time_ms = value.time_ms.or(time_ms);
        let part = match rule.source {
            ValueSource::Divisor => &mut value.divisor,
            ValueSource::Dividend => {
                value.is_quotient = true;
                &mut value.number
            }
            ValueSource::Number | ValueSource::Rate | ValueSource::Text { .. } => &mut value.number,
        };
        *part = match (*part, rule.combination) {
            (None, _) => Some(number),
            (Some(before), Some(Combination::Sum)) => Some(before + number),
            (Some(before), Some(Combination::Max)) => Some(before.max(number)),
            (Some(before), Some(Combination::Min)) => Some(before.min(number)),
            (before @ Some(_), None) => {
                self.reading.repeated += 1;
                before
            }
        };
    }
}
