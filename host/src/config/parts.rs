//! A configuration of several files as one document.
//!
//! The files are read in their order. Tables are merged, `[[storage]]` and the lists of
//! [`JOINED`] are joined, and any other key that two files have is a mistake that names both.
//!
//! Knows nothing of folders, and of what other keys mean.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The lists to which each file can add.
const JOINED: [&str; 3] = ["performance_exporters", "alert_exporters", "plugin_dirs"];

/// The texts of all files, one after the other: places in it are places in the document.
#[derive(Debug)]
pub(super) struct ConfigParts {
    text: String,
    /// Where each file starts, in bytes.
    starts: Vec<usize>,
    files: FileLines,
}

/// Which lines of the document each file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileLines(Vec<FirstLine>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FirstLine {
    /// Number of the lines before it.
    before: usize,
    file: String,
}

/// A key that two files have: the places of its values in the document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyConflict {
    pub(super) path: String,
    pub(super) first: usize,
    pub(super) second: usize,
}

/// A text that is not TOML, and where in the document.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) error: toml::de::Error,
    pub(super) at: usize,
}

impl ConfigParts {
    /// The names of the files, and their texts.
    pub(super) fn new<'t>(files: impl IntoIterator<Item = (String, &'t str)>) -> Self {
        let (mut text, mut starts, mut lines) = (String::new(), Vec::new(), Vec::new());
        for (file, part) in files {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            starts.push(text.len());
            lines.push(FirstLine {
                before: text.matches('\n').count(),
                file,
            });
            text += part;
        }
        Self {
            text,
            starts,
            files: FileLines(lines),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn files(&self) -> &FileLines {
        &self.files
    }

    /// The text of each file.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).copied();
        let ends = ends.chain([self.text.len()]);
        let ranges = self.starts.iter().zip(ends);
        ranges.filter_map(|(start, end)| self.text.get(*start..end))
    }

    /// The merged document, without the second values of conflicts.
    pub(super) fn parse(&self) -> Result<(DeTable<'_>, Vec<KeyConflict>), SyntaxError> {
        let (mut merged, mut conflicts) = (DeTable::new(), Vec::new());
        for (text, start) in self.texts().zip(&self.starts) {
            let table = DeTable::parse(text).map_err(|error| SyntaxError {
                at: start + error.span().map_or(0, |span| span.start),
                error,
            })?;
            let table = moved_table(table.into_inner(), *start);
            merge(&mut merged, table, "", &mut conflicts);
        }
        Ok((merged, conflicts))
    }
}

impl FileLines {
    /// The file of a line of the document, counted from 1, and the line in it. Without a line, the
    /// first file.
    pub(super) fn place(&self, line: Option<usize>) -> String {
        let Some(line) = line else {
            return self
                .0
                .first()
                .map_or_else(String::new, |one| one.file.clone());
        };
        let mut files = self.0.iter().rev();
        let found = files.find(|one| one.before < line);
        found.map_or_else(String::new, |one| {
            format!("{}:{}", one.file, line - one.before)
        })
    }
}

fn merge<'d>(
    into: &mut DeTable<'d>,
    table: DeTable<'d>,
    path: &str,
    conflicts: &mut Vec<KeyConflict>,
) {
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let Some(existing) = into.get_mut(name.as_str()) else {
            into.insert(key, value);
            continue;
        };
        let (first, second) = (existing.span().start, value.span().start);
        match (existing.get_mut(), value.into_inner()) {
            (DeValue::Table(existing), DeValue::Table(table)) => {
                merge(existing, table, &path, conflicts);
            }
            (DeValue::Array(existing), DeValue::Array(more))
                if path == "storage" || JOINED.contains(&path.as_str()) =>
            {
                more.into_iter().for_each(|item| existing.push(item));
            }
            _ => conflicts.push(KeyConflict {
                path,
                first,
                second,
            }),
        }
    }
}

/// The same table, with places that count from the start of the document.
fn moved_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let items = table.into_iter();
    items
        .map(|(key, value)| {
            let span = key.span();
            let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
            (key, moved(value, by))
        })
        .collect()
}

fn moved(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|item| moved(item, by)).collect())
        }
        other => other,
    };
    Spanned::new(span.start + by..span.end + by, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(files: &[(&str, &'static str)]) -> ConfigParts {
        let files = files.iter();
        ConfigParts::new(files.map(|(name, text)| ((*name).to_owned(), *text)))
    }

    #[test]
    fn a_line_of_the_document_is_one_of_a_file() {
        let parts = parts(&[("a", "x = 1\ny = 2"), ("b", "z = 3\n"), ("c", "")]);
        let places = [None, Some(1), Some(2), Some(3)].map(|line| parts.files().place(line));
        assert_eq!(places, ["a", "a:1", "a:2", "b:1"]);
        assert_eq!(
            parts.texts().collect::<Vec<_>>(),
            ["x = 1\ny = 2\n", "z = 3\n", ""]
        );
    }

    #[test]
    fn tables_are_merged_and_storages_and_lists_of_exporters_are_joined() {
        let parts = parts(&[
            (
                "a",
                "performance_exporters = [\"x\"]\nlog.level = \"info\"\n[[storage]]\nname = \"1\"",
            ),
            (
                "b",
                "performance_exporters = [\"y\"]\n[log]\nformat = \"json\"\n[[storage]]\nname = \"2\"",
            ),
        ]);
        let (table, conflicts) = parts.parse().unwrap();
        assert_eq!(conflicts, []);
        let array = |key: &str| table[key].get_ref().as_array().unwrap();
        assert_eq!(array("performance_exporters").len(), 2);
        assert_eq!(array("storage").len(), 2);
        assert_eq!(table["log"].get_ref().as_table().unwrap().len(), 2);
        let second = array("storage").iter().next_back().unwrap().get_ref();
        let name = &second.as_table().unwrap()["name"];
        assert_eq!(parts.text().get(name.span()), Some("\"2\""));
    }

    #[test]
    fn a_key_that_two_files_have_is_a_conflict() {
        let parts = parts(&[
            ("a", "[log]\nlevel = \"info\"\n[api]\nhosts = [\"x\"]"),
            ("b", "log = { level = \"info\" }\n[api]\nhosts = [\"y\"]"),
        ]);
        let (_, conflicts) = parts.parse().unwrap();
        let mut paths: Vec<_> = conflicts.into_iter().map(|one| one.path).collect();
        paths.sort();
        assert_eq!(paths, ["api.hosts", "log.level"]);
    }

    #[test]
    fn what_is_not_toml_has_its_place() {
        let parts = parts(&[("a", "x = 1\n"), ("b", "y = 2\nz = \n")]);
        let SyntaxError { at, .. } = parts.parse().unwrap_err();
        assert!(at > parts.text().find("z").unwrap(), "{at}");
    }
}
