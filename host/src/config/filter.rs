//! Which rows an exporter gets: rules such as `resource_type=volume`.
//!
//! A rule is a label of a series or a field of an alert, and a pattern for its
//! value; `name` is the name of the series. In a pattern, `*` matches any text.
//! An exporter gets a row if a rule of `include` matches it, or `include` is
//! empty, and no rule of `exclude` matches it.

use delfin_plugin_api::{Alert, Series};

use super::read::Section;
use super::setting::Setting;

/// The rules of one exporter.
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
    /// Whether the exporter gets every row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    #[must_use]
    pub fn accepts_series(&self, series: &Series<'_>) -> bool {
        self.accepts(|key| match key {
            "name" => Some(series.name()),
            _ => series.labels().get(key),
        })
    }

    #[must_use]
    pub fn accepts_alert(&self, alert: &Alert<'_>) -> bool {
        self.accepts(|key| {
            let mut texts = alert.texts();
            let text = texts.find_map(|(name, text)| (name == key).then_some(text));
            text.or_else(|| alert.extra().get(key))
        })
    }

    fn accepts<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        let matches = |rule: &Rule| {
            value(&rule.key).is_some_and(|value| matches_pattern(&rule.pattern, value))
        };
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
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

fn read_rules(setting: Option<Setting<'_>>) -> Vec<Rule> {
    let Some(setting) = setting else {
        return Vec::new();
    };
    let texts = setting.texts().unwrap_or_default().into_iter();
    let rules = texts.filter_map(|text| match text.value.split_once('=') {
        Some((key, pattern)) if !key.trim().is_empty() => Some(Rule {
            key: key.trim().to_owned(),
            pattern: pattern.trim().to_owned(),
        }),
        _ => {
            setting.fail(format!(
                "`{}` is not a rule (write `LABEL=PATTERN`, such as `resource_type=volume` or `name=read*`)",
                text.shown
            ));
            None
        }
    });
    rules.collect()
}

/// Whether the text matches the pattern, in which `*` matches any text.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    is_match(pattern.as_bytes(), text.as_bytes())
}

/// As [`matches_pattern`].
///
/// Each star first matches nothing. When a later byte differs, the last star
/// matches one byte more and the comparison continues behind it. An earlier star
/// never has to change: the last star can match all that the earlier one could.
/// So the time is at most `pattern.len() * text.len()`.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut in_pattern, mut in_text) = (0, 0);
    // Position of the last star, and the end of the text that it matches.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, in_text));
                in_pattern += 1;
            }
            Some(byte) if *byte == text[in_text] => {
                in_pattern += 1;
                in_text += 1;
            }
            _ => {
                let Some((at, end)) = star else {
                    return false;
                };
                star = Some((at, end + 1));
                (in_pattern, in_text) = (at + 1, end + 1);
            }
        }
    }
    // Only stars can match the empty rest of the text.
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, matches) in [
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
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_row_is_accepted_if_it_is_included_and_not_excluded() {
        let rule = |key: &str, pattern: &str| Rule {
            key: key.to_owned(),
            pattern: pattern.to_owned(),
        };
        let filter = Filter {
            include: vec![rule("type", "volume"), rule("type", "pool")],
            exclude: vec![rule("id", "v1")],
        };
        let accepts = |kind: &'static str, id: &'static str| {
            filter.accepts(|key| match key {
                "type" => Some(kind),
                "id" => Some(id),
                _ => None,
            })
        };
        assert!(accepts("volume", "v2") && accepts("pool", "p1"));
        assert!(!accepts("volume", "v1") && !accepts("disk", "d1"));
        assert!(Filter::default().accepts(|_| None));
    }
}
