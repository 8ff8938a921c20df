//! Retired words occur nowhere: not in code, help texts, documentation or scripts.
//!
//! A word of the list is found in any spelling of an identifier: `lane` in `AlertLane` and `LANE_ID`.
//! A phrase is found across the end of a line.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{entries, files, root};

/// `WORD, WORD: what to write instead`
const RETIRED: &str = include_str!("retired-words.txt");

/// `FOLDER or FILE: reason`
const EXEMPT: &str = include_str!("retired-words-exempt.txt");

const FOLDERS: [&str; 9] = [
    ".ci",
    "clients",
    "docs",
    "etc",
    "host",
    "plugin-api",
    "plugins",
    "scripts",
    "tests",
];

const FILES: [&str; 6] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "Makefile",
    "README.md",
];

/// How many of a file's findings are shown.
const SHOWN: usize = 10;

#[test]
fn retired_words_occur_nowhere() {
    let retired = retired();
    let mut exempt: BTreeMap<&str, usize> = entries(EXEMPT).map(|(path, _)| (path, 0)).collect();
    let mut wrong = Vec::new();
    let all = FOLDERS.into_iter().flat_map(files);
    for path in all.chain(FILES.map(str::to_owned)) {
        // The lists of these tests.
        if path.starts_with("tests/invariants/") && path.ends_with(".txt") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            // Not a text.
            continue;
        };
        let found = findings(&text, &retired);
        let mut covering = exempt
            .iter_mut()
            .filter(|(prefix, _)| covers(prefix, &path));
        if let Some((_, count)) = covering.next() {
            *count += found.len();
            continue;
        }
        let lines = found.iter().take(SHOWN);
        wrong.extend(lines.map(|(line, word, instead)| {
            format!("{path}:{line}: `{word}` is retired ({instead})")
        }));
        if found.len() > SHOWN {
            wrong.push(format!("{path}: {} more", found.len() - SHOWN));
        }
    }
    for (path, count) in exempt {
        if count == 0 {
            wrong.push(format!(
                "`{path}` has no retired word: remove it from retired-words-exempt.txt"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn covers(prefix: &str, path: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Each retired phrase by its first word, with what to write instead.
fn retired() -> BTreeMap<&'static str, Vec<(Vec<&'static str>, &'static str)>> {
    let mut retired: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (phrases, instead) in entries(RETIRED) {
        for phrase in phrases.split(", ") {
            let words: Vec<&str> = phrase.split(' ').collect();
            retired.entry(words[0]).or_default().push((words, instead));
        }
    }
    retired
}

/// The retired phrases in a text, with their lines.
fn findings(
    text: &str,
    retired: &BTreeMap<&'static str, Vec<(Vec<&'static str>, &'static str)>>,
) -> Vec<(usize, String, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        for (phrase, instead) in retired.get(&**word).into_iter().flatten() {
            let there = words[at..].iter().map(|(_, word)| &**word);
            let is_dead_letter = word.starts_with("letter") && at > 0 && words[at - 1].1 == "dead";
            if there.take(phrase.len()).eq(phrase.iter().copied()) && !is_dead_letter {
                found.push((*line, phrase.join(" "), *instead));
            }
        }
    }
    found
}

/// The words of a text in lower case, with their lines. Identifiers are taken apart.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut word = String::new();
        let mut before = ' ';
        for c in line.chars().chain([' ']) {
            let ends = !c.is_alphanumeric() || before.is_lowercase() && c.is_uppercase();
            if ends && !word.is_empty() {
                words.push((number + 1, std::mem::take(&mut word).to_lowercase()));
            }
            if c.is_alphanumeric() {
                word.push(c);
            }
            before = c;
        }
    }
    words
}

#[test]
fn a_retired_word_is_found_in_identifiers_and_across_lines() {
    let retired = retired();
    let find = |text: &str| {
        let found = findings(text, &retired);
        let found: BTreeSet<String> = found.into_iter().map(|(_, word, _)| word).collect();
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        find("struct AlertLane; const LANE: u8 = 0; fn open_lane()"),
        ["lane"]
    );
    assert_eq!(find("/// Sent once\n/// more."), ["once more"]);
    assert_eq!(
        find("a dead letter, DeadLetter, dead_letters"),
        Vec::<String>::new()
    );
    assert_eq!(find("the letter"), ["letter"]);
    assert_eq!(find("planes settlers"), Vec::<String>::new());
}
