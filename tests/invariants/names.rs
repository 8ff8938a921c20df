//! A type name occurs once in the workspace, unless `shared-names.txt` lists it with a reason. Each operating
//! system may have the type: it counts once.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{code, entries, read, shipped};

const SHARED: &str = include_str!("shared-names.txt");

#[test]
fn a_type_name_occurs_once_unless_it_is_listed_with_a_reason() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in shipped() {
        for name in types(&code(&read(&path))) {
            places.entry(name).or_default().insert(path.clone());
        }
    }
    places.retain(|_, files| occurrences(files) > 1);
    let mut wrong = Vec::new();
    let mut shared: BTreeMap<&str, &str> = entries(SHARED).collect();
    for (name, files) in &places {
        let reason = shared.remove(&**name).unwrap_or_default();
        if reason.is_empty() {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            wrong.push(format!(
                "`{name}` is the name of several types: {}",
                files.join(", ")
            ));
        }
    }
    wrong.extend(shared.keys().map(|name| {
        format!("`{name}` is the name of one type at most: remove it from shared-names.txt")
    }));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// How often a type occurs on the system that has it most often.
fn occurrences(files: &BTreeSet<String>) -> usize {
    let other = |other: &str| {
        let folder = format!("/platform/{other}");
        files.iter().filter(|path| !path.contains(&folder)).count()
    };
    other("windows").max(other("unix"))
}

/// The types that a file defines. Those inside another item, as associated types are, are indented.
fn types(code: &str) -> impl Iterator<Item = String> + '_ {
    let items = code.lines().filter(|line| !line.starts_with(' '));
    items.filter_map(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let mut words = words.filter(|word| !word.is_empty());
        let keyword =
            words.find(|word| !matches!(*word, "pub" | "crate" | "super" | "in" | "unsafe"))?;
        let is_type = matches!(keyword, "struct" | "enum" | "trait" | "type" | "union");
        words.next().filter(|_| is_type).map(str::to_owned)
    })
}
