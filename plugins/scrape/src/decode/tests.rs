//! Lines of both formats, valid and not, and random pages.

use proptest::prelude::*;

use super::*;

fn read(text: &str, format: ScrapeFormat) -> Result<Vec<String>, String> {
    let mut shown = Vec::new();
    let read = read_page(text, format, &PageLimits::default(), |sample| {
        let labels: Vec<_> = sample
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        let time = sample
            .time_ms
            .map_or(String::new(), |time| format!(" @{time}"));
        shown.push(format!(
            "{}{{{}}} {}{time}",
            sample.name,
            labels.join(","),
            sample.value
        ));
    });
    read.map(|count| assert_eq!(count, shown.len()))
        .map_err(|error| error.to_string())?;
    Ok(shown)
}

fn text(line: &str) -> Result<Vec<String>, String> {
    read(line, ScrapeFormat::Text)
}

fn open_metrics(lines: &str) -> Result<Vec<String>, String> {
    read(&format!("{lines}\n# EOF\n"), ScrapeFormat::OpenMetrics)
}

#[track_caller]
fn is(read: Result<Vec<String>, String>, expected: &[&str]) {
    assert_eq!(
        read.as_deref(),
        Ok(&*expected
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>())
    );
}

#[test]
fn the_text_format_is_read() {
    is(text(""), &[]);
    is(
        text("# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n"),
        &["up{} 1"],
    );
    is(
        text("a:b_1{x=\"y\",} 2.5e3 1700000000000"),
        &["a:b_1{x=\"y\"} 2500 @1700000000000"],
    );
    is(
        text("\t a { x = \"y\" , z=\"\" }  -Inf  -5 "),
        &["a{x=\"y\",z=\"\"} -inf @-5"],
    );
    is(
        text("a NaN\na +Inf\n# a comment\n\na{}1"),
        &["a{} NaN", "a{} inf", "a{} 1"],
    );
}

#[test]
fn escapes_and_names_in_utf_8_are_read() {
    is(
        text(r#"a{x="C:\\d \"e\"\nf \t é"} 1"#),
        &["a{x=\"C:\\\\d \\\"e\\\"\\nf \\\\t é\"} 1"],
    );
    is(
        text(r#"{"disk.reads","host.näme"="x",y="z"} 4"#),
        &["disk.reads{host.näme=\"x\",y=\"z\"} 4"],
    );
    is(
        text(r#"{y="z","disk.reads"} 4"#),
        &["disk.reads{y=\"z\"} 4"],
    );
}

#[test]
fn open_metrics_has_seconds_exemplars_and_an_end() {
    is(
        open_metrics(
            "# TYPE a counter\n# UNIT a_seconds seconds\na_total{x=\"#\"} 3 1.5 # {id=\"q\"} 1 2",
        ),
        &["a_total{x=\"#\"} 3 @1500"],
    );
    is(
        open_metrics("a_bucket{le=\"1.0\"} 3 # {trace=\"t\"} 0.6"),
        &["a_bucket{le=\"1.0\"} 3"],
    );
    let cut = read("a 1\n", ScrapeFormat::OpenMetrics).unwrap_err();
    assert!(cut.contains("without `# EOF`"), "{cut}");
    let after = read("a 1\n# EOF\na 2\n", ScrapeFormat::OpenMetrics).unwrap_err();
    assert_eq!(after, "line 3 is not valid: it comes after `# EOF`: `a 2`");
    // An ordinary comment of the other format.
    is(text("# EOF\na 1"), &["a{} 1"]);
}

#[test]
fn a_line_that_is_not_valid_is_named_with_its_number_and_the_reason() {
    for (line, reason) in [
        ("9a 1", "does not begin with the name"),
        ("é 1", "does not begin with the name"),
        ("{x=\"y\"} 1", "does not begin with the name"),
        ("a", "the value is missing"),
        ("a{x=\"y\"}", "the value is missing"),
        ("a one", "the value is not a number"),
        ("a 1 later", "the time is not a number"),
        ("a 1 2 3", "text after the time"),
        ("a 1 # {x=\"y\"} 1", "the time is not a number"),
        ("a{x} 1", "`=` is missing"),
        ("a{\"b\"} 1", "`=` is missing"),
        ("a{x=y} 1", "`\"` is missing"),
        ("a{=\"y\"} 1", "a label has no name"),
        ("a{9=\"y\"} 1", "a label has no name"),
        ("a{x=\"y\" z=\"y\"} 1", "`}` is missing"),
        ("a{x=\"y\"", "`}` is missing"),
        ("a{x=\"y} 1", "a quotation mark is not closed"),
        ("a{x=\"y\\\"} 1", "a quotation mark is not closed"),
        ("a{x=\"y\",x=\"z\"} 1", "the label `x` is there twice"),
        ("a 1\r", "the value is not a number"),
    ] {
        let error = text(&format!("up 1\n{line}")).unwrap_err();
        assert!(error.starts_with("line 2 is not valid: "), "{error}");
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn what_is_over_a_limit_is_named() {
    let over = |page: &str| text(page).unwrap_err();
    let long = "x".repeat(4097);
    let error = over(&format!("a{{l=\"{long}\"}} 1"));
    assert!(
        error.contains("the label `l` has 4097 bytes, at most 4096 are allowed"),
        "{error}"
    );
    let labels: Vec<_> = (0..65).map(|n| format!("l{n}=\"\"")).collect();
    let error = over(&format!("a{{{}}} 1", labels.join(",")));
    assert!(error.contains("it has more than 64 labels"), "{error}");
    let error = over(&format!("a {}", "1".repeat(65_536)));
    assert!(
        error.contains("it has 65538 bytes, at most 65536 are allowed"),
        "{error}"
    );
    let limits = PageLimits {
        samples: 2,
        ..PageLimits::default()
    };
    let error = read_page("a 1\na 2\n# c\na 3", ScrapeFormat::Text, &limits, |_| {});
    assert_eq!(error, Err(PageError::TooManySamples { limit: 2 }));
}

#[test]
fn labels_of_a_selection_are_read() {
    let read = |text| {
        let labels = read_labels(text).map_err(|error| error.to_string())?;
        let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
        Ok::<_, String>(labels.collect::<Vec<_>>().join(";"))
    };
    assert_eq!(read(""), Ok(String::new()));
    assert_eq!(read("a=\"b\""), Ok("a=b".to_owned()));
    assert_eq!(
        read(" { a = \"b\", \"c.d\"=\"e}\" } "),
        Ok("a=b;c.d=e}".to_owned())
    );
    for wrong in ["a", "a=b", "a=\"b\" c=\"d\"", "a!=\"b\"", "\"a\""] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

/// A name, labels, a value and a time.
type RandomSample = (String, Vec<(String, String)>, f64, Option<i64>);

fn random_sample() -> impl Strategy<Value = RandomSample> {
    let labels =
        proptest::collection::btree_map("[a-z_]{1,4}|\\PC{1,4}", "\\PC{0,6}|[\\\\\"\n]{1,3}", 0..4);
    let name = "[a-z_:]{1,6}|\\PC{1,6}";
    (
        name,
        labels,
        proptest::num::f64::NORMAL,
        proptest::option::of(-9_999_999_999_i64..9_999_999_999),
    )
        .prop_map(|(name, labels, value, time)| (name, labels.into_iter().collect(), value, time))
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

fn written((name, labels, value, time): &RandomSample) -> String {
    let labels = labels.iter();
    let labels = labels.map(|(key, value)| format!("{}={}", quoted(key), quoted(value)));
    let parts: Vec<_> = std::iter::once(quoted(name)).chain(labels).collect();
    let time = time.map_or(String::new(), |time| format!(" {time}"));
    format!("{{{}}} {value:e}{time}", parts.join(","))
}

proptest! {
    #[test]
    fn what_is_written_is_read(samples in proptest::collection::vec(random_sample(), 0..8)) {
        let page: Vec<_> = samples.iter().map(written).collect();
        let mut read = Vec::new();
        let limits = PageLimits::default();
        let count = read_page(&page.join("\n"), ScrapeFormat::Text, &limits, |sample| {
            let labels = sample.labels.iter();
            let labels = labels.map(|(key, value)| (key.to_string(), value.to_string())).collect();
            read.push((sample.name.to_owned(), labels, sample.value, sample.time_ms));
        });
        prop_assert_eq!(count, Ok(samples.len()));
        prop_assert_eq!(read, samples);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[a{}=\",\\\\# \t\n0-9.]){0,80}", is_text: bool) {
        let format = if is_text { ScrapeFormat::Text } else { ScrapeFormat::OpenMetrics };
        let _read = read_page(&text, format, &PageLimits::default(), |sample| {
            assert!(!sample.name.is_empty());
        });
        let _labels = read_labels(&text);
    }
}
