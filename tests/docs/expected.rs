//! Whether a command says what its page shows.
//!
//! `…` stands for whatever there is: in a line for any part of it, alone on a
//! line for any number of lines. What is another each time needs no `…`: ids,
//! times and hashes; nor how wide a table's columns are.

/// Whether all that was said is as shown.
pub(crate) fn is_shown(shown: &str, said: &str) -> bool {
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(constant).collect() };
    all(&lines(shown), &lines(said))
}

/// Whether each line that is shown was said, in this order, among others.
pub(crate) fn holds(shown: &str, said: &str) -> bool {
    let mut said = said.lines().map(constant);
    let mut shown = shown.lines().map(constant).filter(|line| !line.is_empty());
    shown.all(|line| said.any(|other| is_like(&line, &other)))
}

/// The ids in a text, in their order.
pub(crate) fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let words = words.map(|word| word.strip_prefix("req-").unwrap_or(word));
    let ids = words.filter(|word| known(word) == Some("<id>"));
    ids.map(str::to_owned).collect()
}

fn all(shown: &[String], said: &[String]) -> bool {
    match (shown.split_first(), said.split_first()) {
        (None, said) => said.is_none(),
        (Some((line, rest)), _) if line == "…" => {
            (0..=said.len()).any(|skipped| all(rest, &said[skipped..]))
        }
        (Some(_), None) => false,
        (Some((line, rest)), Some((other, others))) => is_like(line, other) && all(rest, others),
    }
}

fn is_like(shown: &str, said: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else {
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

/// A line without what is another each time.
fn constant(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut constant = String::new();
    let mut rest = line.trim_end();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        let bare = word.trim_end_matches([':', '.']);
        constant.push_str(known(bare).unwrap_or(bare));
        constant.push_str(&word[bare.len()..]);
        rest = &rest[end..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        if spaces > 0 {
            constant.push(' ');
            rest = &rest[spaces..];
        } else if let Some(c) = rest.chars().next() {
            constant.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    constant
}

fn known(word: &str) -> Option<&'static str> {
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
fn output_is_as_shown_but_for_what_is_another_each_time() {
    let check = |shown, said, expected| {
        assert_eq!(is_shown(shown, said), expected, "{shown:?} {said:?}");
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
fn some_lines_are_among_others_in_their_order() {
    assert!(holds("one\nthree", "one\ntwo\nthree\nfour"));
    assert!(!holds("three\none", "one\ntwo\nthree"));
    assert!(!holds("five", "one"));
}
