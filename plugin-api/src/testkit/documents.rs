//! Whether `example.toml` and `README.md` show the settings that the exporters know, and no others.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::harness::Harness;

type SettingKeys = BTreeSet<String>;

/// How the table of settings in a README begins.
const TABLE: &str = "| Setting |";

/// Compares the files of a crate that exist. A README without a table of settings is not read.
pub(super) fn check(harness: &Harness, crate_folder: &Path) {
    let read = |name: &str| fs::read_to_string(crate_folder.join(name)).ok();
    let known: Vec<(&str, SettingKeys)> = harness
        .exporters()
        .iter()
        .map(|exporter| (&*exporter.name, known_keys(harness, &exporter.name)))
        .collect();
    let all: SettingKeys = known.iter().flat_map(|(_, keys)| keys).cloned().collect();
    if let Some(example) = read("example.toml") {
        let shown = |exporter: &str| example_keys(&example, &table_of(&example, exporter));
        let mut shown_anywhere = SettingKeys::new();
        for (exporter, keys) in &known {
            let shown = shown(exporter);
            let other: Vec<_> = shown.difference(keys).collect();
            assert!(
                other.is_empty(),
                "`example.toml` shows settings that {exporter} does not have: {other:?}"
            );
            shown_anywhere.extend(shown);
        }
        expect_equal("example.toml", &shown_anywhere, &all);
    }
    if let Some(readme) = read("README.md").filter(|text| text.contains(TABLE)) {
        expect_equal("README.md", &table_keys(&readme), &all);
    }
}

fn expect_equal(file: &str, shown: &SettingKeys, known: &SettingKeys) {
    let missing: Vec<_> = known.difference(shown).collect();
    let other: Vec<_> = shown.difference(known).collect();
    assert!(
        missing.is_empty() && other.is_empty(),
        "`{file}` does not show the settings {missing:?}, and shows {other:?}, which do not exist"
    );
}

/// The keys that an exporter names in the error about another one.
fn known_keys(harness: &Harness, exporter: &str) -> SettingKeys {
    let refused = harness.check(exporter, &json!({ "no_such_setting": 1 }));
    let error = refused.err().unwrap_or_default();
    let expected = error.split_once("expected ").map_or("", |(_, list)| list);
    quoted(expected).collect()
}

/// The table with the settings of an exporter, which can have another name.
fn table_of(example: &str, exporter: &str) -> String {
    let own = format!("plugin = \"{exporter}\"");
    let sections = example
        .split("\n[")
        .filter_map(|section| section.split_once("]\n"));
    let named = sections
        .filter(|(_, lines)| lines.lines().any(|line| line.trim_end() == own))
        .map(|(header, _)| format!("{header}.config"));
    let default = format!("exporter.{exporter}.config");
    named.last().unwrap_or(default)
}

/// The keys of a table, also those in comments, which begin with `#` and no space.
fn example_keys(example: &str, table: &str) -> SettingKeys {
    let (mut keys, mut is_inside) = (SettingKeys::new(), false);
    for line in example.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            is_inside = header == table;
            let inner = header.strip_prefix(table);
            if let Some(inner) = inner.and_then(|inner| inner.strip_prefix('.')) {
                keys.extend(inner.split('.').next().map(str::to_owned));
            }
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| is_inside) {
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            keys.extend(is_key(key).then(|| key.to_owned()));
        }
    }
    keys
}

/// The keys in the first column of the tables of settings.
fn table_keys(readme: &str) -> SettingKeys {
    let tables = readme.split(TABLE).skip(1);
    let rows = tables.flat_map(|table| {
        let rows = table.lines().skip(2);
        rows.take_while(|line| line.starts_with('|'))
    });
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(quoted).collect()
}

fn quoted(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> SettingKeys {
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_of_the_example_can_be_comments_and_tables() {
        let example = "a_exporters = [\"A\"]\n[exporter.A.config]\nurl = \"u\" # required\n#keep = 3\n\
                       # With a space = prose\n[exporter.A.config.tls]\ncertificate = 1\n\
                       [exporter.B.config]\nother = 1\n";
        let shown = example_keys(example, "exporter.A.config");
        assert_eq!(shown, keys(&["keep", "tls", "url"]));
    }

    #[test]
    fn an_exporter_can_have_another_name() {
        let example = "a = 1\n\n[exporter.x]\nplugin = \"A\"\n[exporter.x.config]\nurl = 1\n";
        assert_eq!(table_of(example, "A"), "exporter.x.config");
        assert_eq!(table_of(example, "B"), "exporter.B.config");
    }

    #[test]
    fn keys_of_the_tables_are_in_their_first_column() {
        let readme = "| Setting | Type |\n|--|--|\n| `a`, `b` | `c` |\n\n| `d` | |\n\
                      | Setting |\n|--|\n| `e` |\n";
        assert_eq!(table_keys(readme), keys(&["a", "b", "e"]));
    }
}
