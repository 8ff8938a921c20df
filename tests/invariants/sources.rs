//! The files of the workspace, and Rust code without what the compiler does not see.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        root.canonicalize().expect("the workspace")
    });
    &ROOT
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// The files below a folder, with paths from the root, except what was built.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("`{folder}`: {error}"));
    for entry in entries {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if !entry.path().is_dir() {
            found.push(path);
        } else if !path.ends_with("/target") {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

/// The Rust files that go into what is shipped.
pub(crate) fn shipped() -> impl Iterator<Item = String> {
    let folders = ["host/src", "plugin-api", "plugins"]
        .into_iter()
        .flat_map(files);
    folders.filter(|path| path.ends_with(".rs") && !is_test(path))
}

/// Where the tests of every implementation of a trait are.
const TEST_SUITES: [&str; 3] = [
    "/journal/conformance/",
    "/inventory/conformance.rs",
    "/alert/store/conformance.rs",
];

/// Whether a Rust file holds tests or benchmarks only.
pub(crate) fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || TEST_SUITES.iter().any(|suite| path.contains(suite))
}

/// The lines of a data file next to this one: `KEY: TEXT`, without comments.
pub(crate) fn entries(data: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = data.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
}

/// Rust code with comments, texts and the items below `#[cfg(test)]` replaced by spaces. Lines keep
/// their numbers.
pub(crate) fn code(text: &str) -> String {
    let mut code: Vec<char> = Vec::with_capacity(text.len());
    let text: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < text.len() {
        let end = skipped(&text, at);
        if end > at {
            let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
            code.extend(text[at..end].iter().map(blank));
            at = end;
        } else {
            code.push(text[at]);
            at += 1;
        }
    }
    without_tests(&code.into_iter().collect::<String>())
}

/// Where the comment or text that begins at `at` ends; `at` itself if none begins there.
fn skipped(text: &[char], at: usize) -> usize {
    let begins = |what: &str| {
        what.chars()
            .enumerate()
            .all(|(n, c)| text.get(at + n) == Some(&c))
    };
    let find = |from: usize, what: &[char]| {
        let mut places = from..text.len();
        let found = places.find(|place| text[*place..].starts_with(what));
        found.map_or(text.len(), |found| found + what.len())
    };
    let in_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    if begins("//") {
        return find(at, &['\n']) - 1;
    }
    if begins("/*") {
        return find(at, &['*', '/']);
    }
    if !in_word && (begins("r\"") || begins("r#\"")) {
        let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
        let mut end = vec!['"'];
        end.extend(vec!['#'; hashes]);
        return find(at + 2 + hashes, &end);
    }
    if begins("\"") {
        let mut end = at + 1;
        while end < text.len() && text[end] != '"' {
            end += if text[end] == '\\' { 2 } else { 1 };
        }
        return (end + 1).min(text.len());
    }
    // A character, which may be a quotation mark; a lifetime has no second apostrophe.
    match &text[at..text.len().min(at + 4)] {
        ['\'', '\\', _, '\''] => at + 4,
        ['\'', c, '\'', ..] if *c != '\\' => at + 3,
        _ => at,
    }
}

/// Code without the items below `#[cfg(test)]`. An item ends with its closing brace, or with a
/// semicolon before any brace.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(at) = code.find(MARK) else {
        return code.to_owned();
    };
    let mut depth = 0_usize;
    let mut end = code.len();
    for (place, c) in code[at..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == '}' || c == ';') {
            end = at + place + 1;
            break;
        }
    }
    let lines = code[at..end].matches('\n').count();
    let rest = without_tests(&code[end..]);
    format!("{}{}{rest}", &code[..at], "\n".repeat(lines))
}

#[test]
fn code_is_what_is_left_without_comments_texts_and_tests() {
    let text = "let a = '\"'; // a \"\nlet b = r#\"x\"y\"#; /* c */ let d = \"\\\"e\";\n\
                #[cfg(test)]\nmod tests { fn f() { g(); } }\nfn h<'a>() {}\n";
    let code = code(text);
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "let a = ; let b = ; let d = ; fn h<'a>() {}"
    );
    assert_eq!(code.lines().count(), text.lines().count());
}
