//! What differs between operating systems is in modules named `platform`. Other code does not ask for which system it
//! is compiled, except in the files of `known-systems.txt`.

use std::collections::BTreeMap;

use crate::sources::{code, entries, read, shipped};

const KNOWN: &str = include_str!("known-systems.txt");

/// What a condition of the compiler asks if it asks for the system.
const QUESTIONS: [&str; 5] = [
    "unix",
    "windows",
    "target_os",
    "target_family",
    "target_vendor",
];

#[test]
fn only_modules_named_platform_and_the_listed_files_ask_for_the_operating_system() {
    let mut known: BTreeMap<&str, &str> = entries(KNOWN).collect();
    let mut wrong = Vec::new();
    for path in shipped().filter(|path| !path.contains("/platform/")) {
        if !asks_for_system(&code(&read(&path))) {
            continue;
        }
        if known.remove(&*path).is_none_or(str::is_empty) {
            wrong.push(format!(
                "`{path}` asks for the operating system (move what differs to `platform`)"
            ));
        }
    }
    wrong.extend(known.keys().map(|path| {
        format!("`{path}` does not ask for the operating system: remove it from known-systems.txt")
    }));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether code has a condition of the compiler about the system, or asks the standard library for it.
fn asks_for_system(code: &str) -> bool {
    let conditions = ["cfg(", "cfg!(", "cfg_attr("];
    let mut conditions = conditions
        .into_iter()
        .flat_map(|start| code.match_indices(start))
        .map(|(at, start)| in_parentheses(&code[at + start.len()..]));
    let asks = |condition: &str| {
        let mut words = condition.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| QUESTIONS.contains(&word))
    };
    conditions.any(asks) || code.contains("consts::OS") || code.contains("consts::FAMILY")
}

/// The text until the parenthesis that closes it.
fn in_parentheses(text: &str) -> &str {
    let mut depth = 1_usize;
    let end = text.find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn conditions_about_the_system_are_found_and_others_are_not() {
    for asks in [
        "#[cfg(windows)] fn f() {}",
        "if cfg!(not(unix)) {}",
        "#[cfg(all(feature = , any(target_os = , windows)))] mod a;",
        "#[cfg_attr(windows, expect(dead_code))] struct A;",
        "let system = std::env::consts::OS;",
    ] {
        assert!(asks_for_system(asks), "{asks}");
    }
    for other in [
        "#[cfg(feature = )] mod windows;",
        "use std::env::consts::DLL_SUFFIX;",
    ] {
        assert!(!asks_for_system(other), "{other}");
    }
}
