//! Which rows an exporter is sent: rules such as `resource_type=volume`.
//!
//! A rule names a label of a series, or a field of an alert, and a pattern for
//! its value; `name` is the name of the series. In a pattern, `*` stands for
//! anything. A row is sent if one of the rules to include it fits, or there are
//! none, and no rule to exclude it does.

use delfin_plugin_api::{Alert, Series};

use super::item::Item;
use super::read::Section;

/// Which rows an exporter is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    key: String,
    pattern: String,
}

impl Filter {
    /// Whether every row is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a series is sent.
    #[must_use]
    pub fn takes_series(&self, series: &Series<'_>) -> bool {
        self.takes(|key| match key {
            "name" => Some(series.name()),
            _ => series.labels().get(key),
        })
    }

    /// Whether an alert is sent.
    #[must_use]
    pub fn takes_alert(&self, alert: &Alert<'_>) -> bool {
        self.takes(|key| {
            let mut texts = alert.texts();
            let text = texts.find_map(|(name, text)| (name == key).then_some(text));
            text.or_else(|| alert.extra().get(key))
        })
    }

    fn takes<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        let fits = |rule: &Rule| {
            value(&rule.key)
                .is_some_and(|value| is_match(rule.pattern.as_bytes(), value.as_bytes()))
        };
        (self.include.is_empty() || self.include.iter().any(fits)) && !self.exclude.iter().any(fits)
    }
}

pub(super) fn read_filter(mut section: Section<'_>) -> Filter {
    let filter = Filter {
        include: read_rules(section.take("include")),
        exclude: read_rules(section.take("exclude")),
    };
    section.finish();
    filter
}

fn read_rules(item: Option<Item<'_>>) -> Vec<Rule> {
    let Some(item) = item else { return Vec::new() };
    let texts = item.texts().unwrap_or_default().into_iter();
    let rules = texts.filter_map(|text| match text.value.split_once('=') {
        Some((key, pattern)) if !key.trim().is_empty() => Some(Rule {
            key: key.trim().to_owned(),
            pattern: pattern.trim().to_owned(),
        }),
        _ => {
            item.fail(format!(
                "`{}` is not a rule (write `LABEL=PATTERN`, such as `resource_type=volume` or `name=read*`)",
                text.shown
            ));
            None
        }
    });
    rules.collect()
}

/// Whether a text is like a pattern, in which `*` stands for anything.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut rest, mut star) = (0, 0, None);
    while rest < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, rest));
                at += 1;
            }
            Some(byte) if *byte == text[rest] => {
                at += 1;
                rest += 1;
            }
            _ => {
                // What the last star stands for is longer by one.
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                (at, rest) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("volume", "volume", true),
            ("volume", "volumes", false),
            ("read*", "readIops", true),
            ("read*", "read", true),
            ("*Iops", "readIops", true),
            ("*a*b", "xxaybazb", true),
            ("*a*b", "xxaybazc", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                is_match(pattern.as_bytes(), text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_row_is_sent_if_it_is_included_and_not_excluded() {
        let rule = |key: &str, pattern: &str| Rule {
            key: key.to_owned(),
            pattern: pattern.to_owned(),
        };
        let filter = Filter {
            include: vec![rule("type", "volume"), rule("type", "pool")],
            exclude: vec![rule("id", "v1")],
        };
        let takes = |kind: &'static str, id: &'static str| {
            filter.takes(|key| match key {
                "type" => Some(kind),
                "id" => Some(id),
                _ => None,
            })
        };
        assert!(takes("volume", "v2") && takes("pool", "p1"));
        assert!(!takes("volume", "v1") && !takes("disk", "d1"));
        assert!(Filter::default().takes(|_| None));
    }
}
