//! Compares the output of a command with its page.
//!
//! `…` matches anything: any part of a line, or alone on a line any number of
//! lines. Ids, times, hashes and the widths of table columns differ in each run
//! and match without `…`.

/// Whether the whole output matches.
pub(crate) fn matches(shown: &str, output: &str) -> bool {
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(normalized).collect() };
    match_lines(&lines(shown), &lines(output))
}

/// Whether the output has each shown line, in this order. It can have more lines.
pub(crate) fn contains(shown: &str, output: &str) -> bool {
    let mut output = output.lines().map(normalized);
    let mut shown = shown
        .lines()
        .map(normalized)
        .filter(|line| !line.is_empty());
    shown.all(|line| output.any(|other| match_line(&line, &other)))
}

/// The ids in a text, in order.
pub(crate) fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let words = words.map(|word| word.strip_prefix("req-").unwrap_or(word));
    let ids = words.filter(|word| placeholder(word) == Some("<id>"));
    ids.map(str::to_owned).collect()
}

fn match_lines(shown: &[String], output: &[String]) -> bool {
    match (shown.split_first(), output.split_first()) {
        (None, output) => output.is_none(),
        (Some((line, rest)), _) if line == "…" => {
            (0..=output.len()).any(|skipped| match_lines(rest, &output[skipped..]))
        }
        (Some(_), None) => false,
        (Some((line, rest)), Some((other, others))) => {
            match_line(line, other) && match_lines(rest, others)
        }
    }
}

fn match_line(shown: &str, output: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = output.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// A line without the parts that differ in each run.
fn normalized(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut normal = String::new();
    let mut rest = line.trim_end();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        let bare = word.trim_end_matches([':', '.']);
        normal.push_str(placeholder(bare).unwrap_or(bare));
        normal.push_str(&word[bare.len()..]);
        rest = &rest[end..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        if spaces > 0 {
            normal.push(' ');
            rest = &rest[spaces..];
        } else if let Some(c) = rest.chars().next() {
            normal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    normal
}

fn placeholder(word: &str) -> Option<&'static str> {
    let word = word.strip_prefix("req-").unwrap_or(word);
    let shape: String = word
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let groups: Vec<usize> = word.split('-').map(str::len).collect();
    if groups == [8, 4, 4, 4, 12] && word.split('-').all(is_hex) {
        return Some("<id>");
    }
    if word.len() == 64 && is_hex(word) {
        return Some("<hash>");
    }
    match &*shape {
        "9999-99-99" => Some("<date>"),
        "99:99:99" => Some("<time>"),
        _ if shape.starts_with("9999-99-99T99:99:99") && shape.ends_with('Z') => Some("<time>"),
        _ => None,
    }
}

#[test]
fn output_matches_except_for_ids_and_times() {
    let check = |shown, output, expected| {
        assert_eq!(matches(shown, output), expected, "{shown:?} {output:?}");
    };
    check("one\ntwo\n", "one\ntwo", true);
    check("one\n", "one\ntwo", false);
    check("one\ntwo", "one", false);
    check("one\n…\nfour", "one\ntwo\nthree\nfour", true);
    check("one\n…\nfour", "one\nfour\nfive", false);
    check("took … ms, …", "took 17 ms, slow", true);
    check("took … ms", "took 17 s", false);
    check("a   b", "a b", true);
    check("a b", "ab", false);
    check("a/b", "a c", false);
    check(
        "{\"id\":\"01a20391-5523-749e-b922-5c673ffb568e\"}",
        "{\"id\":\"01a20392-0000-749e-b922-5c673ffb568e\"}",
        true,
    );
    check(
        "01a20391-5523-749e-b922-5c673ffb568e: 2",
        "01a20391-5523-749e-b922-5c673ffb568f: 3",
        false,
    );
    check(
        "2026-11-22T14:26:19.501Z x",
        "2027-01-02T00:00:00.123456Z x",
        true,
    );
}

#[test]
fn shown_lines_can_have_other_lines_between_them() {
    assert!(contains("one\nthree", "one\ntwo\nthree\nfour"));
    assert!(!contains("three\none", "one\ntwo\nthree"));
    assert!(!contains("five", "one"));
}
