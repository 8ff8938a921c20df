//! The mapping files of syslog messages.

use std::path::Path;

use regex::{Captures, Regex, RegexBuilder};

use super::message::ParsedMessage;
use crate::notification::{
    MappedInput, MappingError, MappingFile, MappingFolder, MappingRule, RuleReader, Tables,
};

/// The kind of the entries in a mapping file.
const KIND: &str = "syslog";
/// The mapping files that are part of the program.
const BUILT_IN: &[(&str, &str)] = &[(
    "standard.toml",
    include_str!("../../../etc/delfin/syslog.d/standard.toml"),
)];
/// The most memory of one pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The rules of all mapping files, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct SyslogMappings {
    rules: Vec<SyslogRule>,
}

/// What becomes of a message.
#[derive(Debug)]
pub struct SyslogRule {
    pub rule: MappingRule<SyslogField>,
    pattern: Option<Regex>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogField {
    Message,
    /// A field of the message, or a parameter of its structured data.
    Named(String),
    /// A group of the pattern.
    Group(String),
}

/// A message with what the pattern of a rule has found in it.
#[derive(Debug)]
pub struct SyslogMatch<'a> {
    message: &'a ParsedMessage,
    groups: Option<Captures<'a>>,
}

impl SyslogMappings {
    /// Reads the built-in mappings and those of a folder, which need not exist.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let folder = MappingFolder {
            kind: KIND,
            built_in: BUILT_IN,
            path,
        };
        let mut mappings = Self::default();
        folder.read(|file, content| mappings.add(file, content))?;
        Ok(mappings)
    }

    /// The first rule that is for a message.
    #[must_use]
    pub fn find<'a>(
        &self,
        message: &'a ParsedMessage,
    ) -> Option<(&MappingRule<SyslogField>, SyslogMatch<'a>)> {
        self.rules.iter().find_map(|rule| {
            let input = rule.match_pattern(message)?;
            let is_for = rule.rule.mismatch(&input).is_none();
            is_for.then_some((&rule.rule, input))
        })
    }

    /// The rules whose pattern matches a message, but not their conditions; with the reason.
    pub fn skipped(&self, message: &ParsedMessage) -> impl Iterator<Item = (&str, String)> {
        let matching = self.rules.iter().filter_map(move |rule| {
            let input = rule.match_pattern(message)?;
            Some((&*rule.rule.origin, rule.rule.mismatch(&input)))
        });
        matching.map_while(|(origin, mismatch)| Some((origin, mismatch?)))
    }

    fn add(&mut self, file: &str, mut content: MappingFile) -> Result<(), String> {
        let tables = Tables::new(std::mem::take(&mut content.tables));
        for (number, entry) in (1..).zip(content.take_entries()) {
            let pattern = entry.pattern.as_deref().map(|pattern| {
                let mut builder = RegexBuilder::new(pattern);
                builder.size_limit(MAX_PATTERN_BYTES).build()
            });
            let pattern = pattern.transpose();
            let groups: Vec<String> = pattern
                .iter()
                .flatten()
                .flat_map(|pattern| pattern.capture_names().flatten())
                .map(str::to_owned)
                .collect();
            let reader = RuleReader {
                kind: KIND,
                file,
                tables: &tables,
                field: &|name| SyslogField::parse(name, &groups),
            };
            let pattern = pattern.map_err(|error| {
                let reason = format!("is not a regular expression: {}", reason_of(&error));
                reader.mistake(number, "pattern", &reason)
            })?;
            let rule = reader.read(number, entry)?;
            self.rules.push(SyslogRule { rule, pattern });
        }
        Ok(())
    }
}

/// The last line of a message that draws the expression.
fn reason_of(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl SyslogRule {
    /// `None` if the pattern does not match.
    fn match_pattern<'a>(&self, message: &'a ParsedMessage) -> Option<SyslogMatch<'a>> {
        let groups = match &self.pattern {
            Some(pattern) => Some(pattern.captures(&message.text)?),
            None => None,
        };
        Some(SyslogMatch { message, groups })
    }
}

impl SyslogField {
    /// A group of the pattern, a field of each message, or a parameter.
    fn parse(name: &str, groups: &[String]) -> Result<Self, String> {
        const FIELDS: [&str; 6] = [
            "severity", "facility", "hostname", "app_name", "proc_id", "msg_id",
        ];
        if groups.iter().any(|group| group == name) {
            return Ok(Self::Group(name.to_owned()));
        }
        match name {
            "message" => Ok(Self::Message),
            _ if FIELDS.contains(&name) || name.contains('.') => Ok(Self::Named(name.to_owned())),
            _ => Err(format!(
                "`{name}` is not a field of a message (write `message`, `{}`, `ID.NAME` for a \
                 parameter of structured data, or a group of `pattern`)",
                FIELDS.join("`, `")
            )),
        }
    }
}

impl MappedInput for SyslogMatch<'_> {
    type Field = SyslogField;

    fn text(&self, field: &SyslogField) -> Option<String> {
        match field {
            SyslogField::Message => Some(self.message.text.clone()),
            SyslogField::Named(name) => {
                let mut fields = self.message.fields();
                fields.find_map(|(key, text)| (key == name).then(|| text.to_owned()))
            }
            SyslogField::Group(name) => {
                let group = self.groups.as_ref()?.name(name)?;
                Some(group.as_str().to_owned())
            }
        }
    }
}
