//! Texts with labels: `${pool}/${volume}`.

use std::fmt::Write;

use crate::decode::ScrapedSample;

/// A text with the values of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelTemplate(Vec<LabelPart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelPart {
    Text(String),
    Label(String),
    /// The value of the sample: `${}`.
    Value,
}

impl LabelTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((label, after)) = after.split_once('}') else {
                return Err(format!("`{text}` has a `${{` without `}}`"));
            };
            if !before.is_empty() {
                parts.push(LabelPart::Text(before.to_owned()));
            }
            parts.push(match label {
                "" => LabelPart::Value,
                label => LabelPart::Label(label.to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(LabelPart::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Writes the text in place of `out`. False: the sample does not have all labels.
    #[must_use]
    pub(crate) fn write(&self, sample: &ScrapedSample<'_>, out: &mut String) -> bool {
        out.clear();
        for part in &self.0 {
            match part {
                LabelPart::Text(text) => out.push_str(text),
                LabelPart::Label(label) => match sample.label(label) {
                    Some(value) => out.push_str(value),
                    None => return false,
                },
                // Writing to a string does not fail.
                LabelPart::Value => drop(write!(out, "{}", sample.value)),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_the_value_are_filled_in() {
        let labels = [("pool".into(), "p".into()), ("empty".into(), "".into())];
        let sample = ScrapedSample {
            name: "m",
            labels: &labels,
            value: 2.5,
            time_ms: None,
        };
        let fill = |text: &str| {
            let mut out = "old".to_owned();
            let template = LabelTemplate::parse(text).unwrap();
            template.write(&sample, &mut out).then_some(out)
        };
        assert_eq!(fill("a ${pool}-${pool} (${})"), Some("a p-p (2.5)".into()));
        assert_eq!(fill(""), Some(String::new()));
        assert_eq!(fill("${empty}"), None);
        assert_eq!(fill("${other}"), None);
        assert!(LabelTemplate::parse("a ${pool").is_err());
    }
}
