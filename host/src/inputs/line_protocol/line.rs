//! Reads lines: `MEASUREMENT[,TAG=TEXT…] FIELD=VALUE[,…] [TIME]`.

use std::borrow::Cow;

use super::text::{LineMistake, end_of, unescape};
use crate::ingest::{MAX_LABELS, excerpt};

/// The most fields of a line.
const MAX_FIELDS: usize = 4096;

/// A line. Reused from line to line.
#[derive(Debug, Default)]
pub(super) struct ParsedLine<'a> {
    pub(super) measurement: Cow<'a, str>,
    pub(super) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) fields: Vec<(Cow<'a, str>, FieldNumber)>,
    pub(super) time: Option<i64>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FieldNumber {
    Number(f64),
    Text,
}

/// The lines of a body.
#[derive(Debug)]
pub(super) struct LineReader<'a> {
    rest: &'a [u8],
    /// The lines so far.
    count: usize,
}

impl<'a> LineReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            // A byte order mark would become a part of the first name.
            rest: body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body),
            count: 0,
        }
    }

    /// Reads the next line that is neither empty nor a comment. Its number, from 1, and what is wrong with it.
    pub(super) fn next(
        &mut self,
        line: &mut ParsedLine<'a>,
    ) -> Option<(usize, Result<(), LineMistake>)> {
        loop {
            self.skip_spaces();
            match self.rest.first()? {
                b'\n' => self.end_line(),
                b'#' => self.skip_line(),
                _ => break,
            }
        }
        let number = self.count + 1;
        let read = self.read(line);
        // A mistake ends at the end of its line.
        self.skip_line();
        Some((number, read))
    }

    fn read(&mut self, line: &mut ParsedLine<'a>) -> Result<(), LineMistake> {
        line.tags.clear();
        line.fields.clear();
        line.time = None;
        line.measurement = self.text(b", \n")?;
        if line.measurement.is_empty() {
            return Err(LineMistake::new("the measurement is missing"));
        }
        while self.take(b',') {
            let key = self.name(b"=, \n", "tag")?;
            let text = self.text(b", \n")?;
            if line.tags.len() == MAX_LABELS {
                return Err(LineMistake(format!("has more than {MAX_LABELS} tags")));
            }
            line.tags.push((key, text));
        }
        if !self.skip_spaces() || self.is_at_end() {
            return Err(LineMistake::new("the fields are missing"));
        }
        loop {
            let key = self.name(b"=, \n", "field")?;
            let value = self.value(&key)?;
            if line.fields.len() == MAX_FIELDS {
                return Err(LineMistake(format!("has more than {MAX_FIELDS} fields")));
            }
            line.fields.push((key, value));
            if !self.take(b',') {
                break;
            }
        }
        if self.skip_spaces() && !self.is_at_end() {
            let time = self.text(b" \n")?;
            let parsed = time.parse();
            let wrong = |_| LineMistake(format!("`{}` is not a time", excerpt(&time)));
            line.time = Some(parsed.map_err(wrong)?);
            self.skip_spaces();
        }
        if !self.is_at_end() {
            let rest = &self.rest[..end_of(self.rest, b"\n").min(60)];
            let rest = excerpt(&String::from_utf8_lossy(rest));
            return Err(LineMistake(format!("`{rest}` follows the end of the line")));
        }
        Ok(())
    }

    /// The name of a tag or a field, up to its `=`.
    fn name(&mut self, stops: &[u8], what: &str) -> Result<Cow<'a, str>, LineMistake> {
        let name = self.text(stops)?;
        if !self.take(b'=') {
            let name = excerpt(&name);
            return Err(LineMistake(format!("the {what} `{name}` has no value")));
        }
        if name.is_empty() {
            return Err(LineMistake(format!("a {what} has no name")));
        }
        Ok(name)
    }

    fn value(&mut self, field: &str) -> Result<FieldNumber, LineMistake> {
        if self.take(b'"') {
            let end = self.end_of_quotes();
            let end = end.ok_or_else(|| LineMistake::new("a text has no closing quote"))?;
            let (text, rest) = self.rest.split_at(end);
            self.count += text.iter().filter(|byte| **byte == b'\n').count();
            self.rest = &rest[1..];
            return Ok(FieldNumber::Text);
        }
        let text = self.text(b", \n")?;
        number(&text).map(FieldNumber::Number).ok_or_else(|| {
            let (field, text) = (excerpt(field), excerpt(&text));
            LineMistake(format!(
                "the field `{field}` has the value `{text}`, which is no number (write texts in quotes)"
            ))
        })
    }

    fn end_of_quotes(&self) -> Option<usize> {
        let end = end_of(self.rest, b"\"");
        (end < self.rest.len()).then_some(end)
    }

    /// The text up to the first of `stops`.
    fn text(&mut self, stops: &[u8]) -> Result<Cow<'a, str>, LineMistake> {
        let (text, rest) = self.rest.split_at(end_of(self.rest, stops));
        self.rest = rest;
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        unescape(text)
    }

    /// Whether there were spaces.
    fn skip_spaces(&mut self) -> bool {
        let begin = self.rest.len();
        while let [b' ' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.len() < begin
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    fn is_at_end(&self) -> bool {
        matches!(self.rest, [] | [b'\n', ..])
    }

    fn skip_line(&mut self) {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        self.end_line();
    }

    fn end_line(&mut self) {
        self.count += usize::from(self.take(b'\n'));
    }
}

/// The number of a field: a float, an integer with `i` or `u`, or a boolean.
fn number(text: &str) -> Option<f64> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(0.0),
        _ => {}
    }
    if let Some(digits) = text.strip_suffix('i') {
        return digits.parse::<i64>().ok().map(|number| number as f64);
    }
    if let Some(digits) = text.strip_suffix('u') {
        return digits.parse::<u64>().ok().map(|number| number as f64);
    }
    text.parse().ok()
}
