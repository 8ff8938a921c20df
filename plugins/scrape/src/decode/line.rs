//! Reads one line of a page.

use std::borrow::Cow;

use super::{PageLabel, PageLimits, ScrapeFormat};

/// Why a line is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("it has {bytes} bytes, at most {limit} are allowed")]
    TooLong { bytes: usize, limit: usize },
    #[error("it has more than {limit} labels")]
    TooManyLabels { limit: usize },
    #[error("the label `{label}` has {bytes} bytes, at most {limit} are allowed")]
    LongLabel {
        label: String,
        bytes: usize,
        limit: usize,
    },
    #[error("the label `{0}` is there twice")]
    RepeatedLabel(String),
    #[error("it does not begin with the name of a metric")]
    NoName,
    #[error("a label has no name")]
    NoLabelName,
    #[error("`{0}` is missing")]
    Missing(char),
    #[error("a quotation mark is not closed")]
    OpenQuote,
    #[error("the value is missing")]
    NoValue,
    #[error("the value is not a number")]
    BadValue,
    #[error("the time is not a number")]
    BadTime,
    #[error("there is text after the time")]
    TrailingText,
    #[error("it comes after `# EOF`")]
    AfterEnd,
}

/// The name, the value and the time of a line.
type LineSample<'a> = (Cow<'a, str>, f64, Option<i64>);

/// Reads a line that is neither empty nor a comment, and adds its labels.
pub(super) fn read_sample<'a>(
    line: &'a str,
    format: ScrapeFormat,
    limits: &PageLimits,
    labels: &mut Vec<PageLabel<'a>>,
) -> Result<LineSample<'a>, LineError> {
    let mut cursor = LineCursor { rest: line };
    let mut name = None;
    if !line.starts_with('{') {
        let plain = cursor.take_while(|byte| is_name_byte(byte) || byte == b':');
        if plain.is_empty() || plain.as_bytes()[0].is_ascii_digit() {
            return Err(LineError::NoName);
        }
        name = Some(Cow::Borrowed(plain));
    }
    cursor.skip_blanks();
    if cursor.skip('{') {
        cursor.labels(&mut name, limits, labels)?;
    }
    let name = name.ok_or(LineError::NoName)?;
    cursor.skip_blanks();
    let value = cursor.word();
    if value.is_empty() {
        return Err(LineError::NoValue);
    }
    let value = value.parse().map_err(|_| LineError::BadValue)?;
    cursor.skip_blanks();
    let time_ms = match cursor.word() {
        "" => None,
        "#" if format == ScrapeFormat::OpenMetrics => return Ok((name, value, None)),
        time => Some(read_time(time, format).ok_or(LineError::BadTime)?),
    };
    cursor.skip_blanks();
    let is_exemplar = format == ScrapeFormat::OpenMetrics && cursor.rest.starts_with('#');
    if cursor.rest.is_empty() || is_exemplar {
        return Ok((name, value, time_ms));
    }
    Err(LineError::TrailingText)
}

/// Reads labels as a query of Prometheus has them, such as `cluster="a",site="b"`, with or without
/// braces.
///
/// # Errors
///
/// They are not valid.
pub fn read_labels(text: &str) -> Result<Vec<PageLabel<'_>>, LineError> {
    let text = text.trim();
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let mut cursor = LineCursor {
        rest: inner.unwrap_or(text),
    };
    let mut labels = Vec::new();
    loop {
        cursor.skip_blanks();
        if cursor.rest.is_empty() {
            return Ok(labels);
        }
        let mut no_name = Some(Cow::Borrowed(""));
        cursor.label(&mut no_name, &PageLimits::default(), &mut labels)?;
        cursor.skip_blanks();
        if !cursor.skip(',') && !cursor.rest.is_empty() {
            return Err(LineError::Missing(','));
        }
    }
}

/// Milliseconds, or seconds with a fraction in OpenMetrics.
fn read_time(text: &str, format: ScrapeFormat) -> Option<i64> {
    match format {
        ScrapeFormat::Text => text.parse().ok(),
        ScrapeFormat::OpenMetrics => {
            let seconds: f64 = text.parse().ok()?;
            seconds
                .is_finite()
                .then(|| (seconds * 1000.0).round() as i64)
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct LineCursor<'a> {
    rest: &'a str,
}

impl<'a> LineCursor<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Whether the next character is this one. It is read then.
    fn skip(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !is_part(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// The text up to the next blank. It is ASCII or ends before another character.
    fn word(&mut self) -> &'a str {
        self.take_while(|byte| byte != b' ' && byte != b'\t')
    }

    /// The labels after `{`, with `}`. A quoted text without `=` is the name of the metric.
    fn labels(
        &mut self,
        name: &mut Option<Cow<'a, str>>,
        limits: &PageLimits,
        labels: &mut Vec<PageLabel<'a>>,
    ) -> Result<(), LineError> {
        loop {
            self.skip_blanks();
            if self.skip('}') {
                return Ok(());
            }
            self.label(name, limits, labels)?;
            self.skip_blanks();
            if !self.skip(',') && !self.rest.starts_with('}') {
                return Err(LineError::Missing('}'));
            }
        }
    }

    fn label(
        &mut self,
        name: &mut Option<Cow<'a, str>>,
        limits: &PageLimits,
        labels: &mut Vec<PageLabel<'a>>,
    ) -> Result<(), LineError> {
        let is_quoted = self.rest.starts_with('"');
        let key = if is_quoted {
            self.quoted()?
        } else {
            Cow::Borrowed(self.take_while(is_name_byte))
        };
        if key.is_empty() || (!is_quoted && key.as_bytes()[0].is_ascii_digit()) {
            return Err(LineError::NoLabelName);
        }
        self.skip_blanks();
        if !self.skip('=') {
            if !is_quoted || name.is_some() {
                return Err(LineError::Missing('='));
            }
            *name = Some(key);
            return Ok(());
        }
        self.skip_blanks();
        let value = self.quoted()?;
        let bytes = key.len().max(value.len());
        if bytes > limits.label_bytes {
            return Err(LineError::LongLabel {
                label: key.chars().take(32).collect(),
                bytes,
                limit: limits.label_bytes,
            });
        }
        if labels.len() == limits.labels {
            return Err(LineError::TooManyLabels {
                limit: limits.labels,
            });
        }
        if labels.iter().any(|(known, _)| *known == key) {
            return Err(LineError::RepeatedLabel(key.into_owned()));
        }
        labels.push((key, value));
        Ok(())
    }

    /// A text in quotation marks. Only `\\`, `\"` and `\n` are escapes.
    fn quoted(&mut self) -> Result<Cow<'a, str>, LineError> {
        if !self.skip('"') {
            return Err(LineError::Missing('"'));
        }
        let mut has_escapes = false;
        let mut bytes = self.rest.bytes().enumerate();
        let end = loop {
            match bytes.next() {
                Some((end, b'"')) => break end,
                Some((_, b'\\')) => {
                    has_escapes = true;
                    bytes.next();
                }
                Some(_) => {}
                None => return Err(LineError::OpenQuote),
            }
        };
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        if has_escapes {
            return Ok(Cow::Owned(unescaped(text)));
        }
        Ok(Cow::Borrowed(text))
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some(escaped @ ('\\' | '"')) => plain.push(escaped),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}
