use delfin_plugin_api::{Batch, Kind, Series};

use super::*;
use crate::ingest::{IngestNotes, MemoryClaim, NoteKind, RejectedItems};

const NOW: i64 = 1_700_000_000_000;

fn unlimited() -> ParseGuard {
    ParseGuard::unlimited(&BodyLimits::default())
}

fn performance(
    bytes: &[u8],
    limits: &BodyLimits,
) -> Result<(PerformanceBatch, RejectedItems), IngestError> {
    let items = super::performance(bytes, limits, NOW, ParseGuard::unlimited(limits))?;
    Ok((items.batch, items.rejected))
}

fn alerts(bytes: &[u8], limits: &BodyLimits) -> Result<(AlertBatch, RejectedItems), IngestError> {
    let items = super::alerts(bytes, limits, NOW, ParseGuard::unlimited(limits))?;
    Ok((items.batch, items.rejected))
}

fn series(body: &str) -> Result<PerformanceBatch, String> {
    let read = performance(body.as_bytes(), &BodyLimits::default());
    read.and_then(|(batch, rejected)| rejected.require_empty(batch))
        .map_err(|error| error.to_string())
}

fn alert(body: &str) -> Result<AlertBatch, String> {
    let read = alerts(body.as_bytes(), &BodyLimits::default());
    read.and_then(|(batch, rejected)| rejected.require_empty(batch))
        .map_err(|error| error.to_string())
}

/// A good item, then one with these values in a series that is otherwise good.
fn with_values(values: &str) -> String {
    item(&format!(
        r#"{{"name": "iops", "labels": {{}}, "values": {values}}}"#
    ))
}

fn with_labels(labels: &str) -> String {
    item(&format!(
        r#"{{"name": "iops", "labels": {labels}, "values": {{}}}}"#
    ))
}

/// The error of a body whose second item is this one.
fn item(item: &str) -> String {
    let good = r#"["iops", {"resource_id": "sda"}, {"1": 2}]"#;
    let lines = series(&format!("{good}\n{item}\n")).unwrap_err();
    let array = series(&format!("[{good}, {item}]")).unwrap_err();
    assert_eq!(array, lines);
    array
}

fn shown(series: Series<'_>) -> String {
    format!(
        "{} {:?} {:?}",
        series.name(),
        series.labels(),
        series.points().collect::<Vec<_>>()
    )
}

#[test]
fn arrays_lines_objects_and_triples_are_equivalent() {
    let object = r#"{"name": "iops", "labels": {"id": "sda", "unit": "IOPS"}, "values": {"1": 2.5, "2": 3}}"#;
    let turned = r#"{"values": {"1": 2.5, "2": 3}, "labels": {"id": "sda", "unit": "IOPS"}, "name": "iops"}"#;
    let triple = r#"["iops", {"id": "sda", "unit": "IOPS"}, {"1": 2.5, "2": 3}]"#;
    let wanted = r#"iops {"id": "sda", "unit": "IOPS"} [(1, 2.5), (2, 3.0)]"#;
    for body in [
        format!("[{object},{turned},\n{triple}]"),
        format!("{object}\n{turned}\r\n\n{triple}"),
        format!(" {triple}\n{object}\n{turned}\n"),
    ] {
        let batch = series(&body).unwrap();
        let read: Vec<_> = batch.series().map(shown).collect();
        assert_eq!(read, [wanted; 3]);
    }
}

#[test]
fn points_keep_the_order_in_which_they_were_sent() {
    let batch = series(r#"["iops", {}, {"3": 1, "1": 2, "2": -0.5e1}]"#).unwrap();
    let points: Vec<_> = batch
        .series()
        .flat_map(|s| s.points().collect::<Vec<_>>())
        .collect();
    assert_eq!(points, [(3, 1.0), (1, 2.0), (2, -5.0)]);
}

#[test]
fn a_number_is_exactly_the_one_sent() {
    for text in [
        "\"0.1\"",
        "\"-1.5E+2\"",
        "29.534088718585423",
        "5e-324",
        "1.7976931348623157e308",
        "9007199254740993",
    ] {
        let batch = series(&format!(r#"["iops", {{}}, {{"1": {text}}}]"#)).unwrap();
        let value = batch.series().next().unwrap().values()[0];
        let wanted: f64 = text.trim_matches('"').parse().unwrap();
        assert_eq!(value.to_bits(), wanted.to_bits());
    }
}

#[test]
fn an_empty_array_is_a_batch_without_rows() {
    assert_eq!(series(" [ ] ").unwrap().rows(), 0);
    let wanted = "the body is empty (send an array of items, or one item a line)";
    assert_eq!(series(" \n").unwrap_err(), wanted);
}

#[test]
fn labels_that_are_numbers_or_booleans_keep_their_json_text() {
    let batch = series(
        r#"["iops", {"a": 1.0, "b": true, "c": 12345678901234567890123, "d\n": "\u00e9\"", "e": ""}, {}]"#,
    );
    let batch = batch.unwrap();
    let read: Vec<_> = batch.series().next().unwrap().labels().iter().collect();
    let wanted = [
        ("a", "1.0"),
        ("b", "true"),
        ("c", "12345678901234567890123"),
        ("d\n", "é\""),
        ("e", ""),
    ];
    assert_eq!(read, wanted);
}

#[test]
fn an_invalid_timestamp_is_reported_with_its_item() {
    assert_eq!(
        with_values(r#"{"abc": 1}"#),
        "item 1: values: timestamp `abc` is not an integer of milliseconds"
    );
    assert_eq!(
        with_values(r#"{"": 1}"#),
        "item 1: values: timestamp `` is not an integer of milliseconds"
    );
    assert_eq!(
        with_values(r#"{"1.5": 1}"#),
        "item 1: values: timestamp `1.5` is not an integer of milliseconds"
    );
    assert_eq!(
        with_values(r#"{"+1": 1}"#),
        "item 1: values: timestamp `+1` is not an integer of milliseconds"
    );
    let range = "is out of range (milliseconds since the Unix epoch, up to the year 9999)";
    for time in ["-1", "253402300800000", "99999999999999999999"] {
        assert_eq!(
            with_values(&format!(r#"{{"{time}": 1}}"#)),
            format!("item 1: values: timestamp `{time}` {range}")
        );
    }
    assert_eq!(
        with_values(r#"{"2": 1, "1": 1, "02": 1}"#),
        "item 1: values: timestamp `2` comes twice"
    );
}

#[test]
fn a_value_that_is_not_a_finite_number_is_reported_with_its_item() {
    for value in [
        r#""NaN""#, "null", "true", "[1]", r#"" 1""#, r#""""#, r#""inf""#,
    ] {
        assert_eq!(
            with_values(&format!(r#"{{"1": {value}}}"#)),
            format!("item 1: values: `{value}` is not a number")
        );
    }
    for value in ["1e999", r#""1e999""#] {
        assert_eq!(
            with_values(&format!(r#"{{"1": {value}}}"#)),
            format!("item 1: values: `{value}` is too large a number")
        );
    }
    assert_eq!(
        with_values("[1]"),
        "item 1: values: invalid type: sequence, expected an object of timestamps and numbers"
    );
}

#[test]
fn an_invalid_label_is_reported_with_its_item() {
    assert_eq!(
        with_labels(r#"{"a": {}}"#),
        "item 1: labels: label `a` is an object, not a text, number or boolean"
    );
    assert_eq!(
        with_labels(r#"{"a": []}"#),
        "item 1: labels: label `a` is an array, not a text, number or boolean"
    );
    assert_eq!(
        with_labels(r#"{"a": "1", "\u0061": "2"}"#),
        "item 1: labels: label `a` comes twice"
    );
    assert_eq!(
        with_labels(r#"{"": "1"}"#),
        "item 1: labels: a label has no name"
    );
    let many: Vec<_> = (0..257).map(|n| format!(r#""l{n}": 1"#)).collect();
    assert_eq!(
        with_labels(&format!("{{{}}}", many.join(","))),
        "item 1: labels: has more than 256 labels"
    );
}

#[test]
fn an_unknown_repeated_or_missing_field_is_reported_with_its_item() {
    assert_eq!(
        item(r#"{"name": "iops", "labels": {}, "value": {}}"#),
        "item 1: unknown field `value` (a series has `name`, `labels` and `values`)"
    );
    assert_eq!(
        item(r#"{"name": "iops", "labels": {}}"#),
        "item 1: `values` is missing"
    );
    assert_eq!(
        item(r#"{"labels": {}, "values": {}}"#),
        "item 1: `name` is missing"
    );
    assert_eq!(
        item(r#"{"name": "a", "name": "b"}"#),
        "item 1: field `name` comes twice"
    );
    assert_eq!(item(r#"["iops", {}]"#), "item 1: `values` is missing");
    assert_eq!(
        item(r#"["iops", {}, {}, 1]"#),
        "item 1: has more than [name, labels, values]"
    );
    assert_eq!(
        item(r#"{"name": "", "labels": {}, "values": {}}"#),
        "item 1: name: is empty"
    );
    assert_eq!(
        item(r#"{"name": 5, "labels": {}, "values": {}}"#),
        "item 1: name: `5` is not a text"
    );
    assert_eq!(
        item("7"),
        r#"item 1: invalid type: integer `7`, expected a series, {"name", "labels", "values"} or [name, labels, values]"#
    );
}

#[test]
fn a_syntax_error_is_reported_with_its_position_in_the_body() {
    let bodies = [
        (
            "[\n[\"iops\", {}, {}],\n[\"iops\" {}]]",
            "expected `,` or `]` (line 3, column 9, in item 1)",
        ),
        (
            "[\"iops\", {}, {}]\n\n  [\"iops\" {}]",
            "expected `,` or `]` (line 3, column 11, in item 1)",
        ),
        (
            "[\"iops\", {}, {}",
            "EOF while parsing a list (line 1, column 15, in item 0)",
        ),
        (
            "[\"iops\", {}, {1: 1}]",
            "key must be a string (line 1, column 15, in item 0)",
        ),
        ("[] x", "trailing characters (line 1, column 4, in item 0)"),
        ("name=iops", "expected ident (line 1, column 2, in item 0)"),
        ("[\"\\ud800\", {}, {}]", ""),
    ];
    for (body, wanted) in bodies {
        let error = series(body).unwrap_err();
        if wanted.is_empty() {
            assert!(
                error.starts_with("item 0: name: `\"\\ud800\"` is not a text: "),
                "{error}"
            );
        } else {
            assert_eq!(error, format!("the body is not JSON: {wanted}"));
        }
    }
    let error = performance(b"[\xff]", &BodyLimits::default()).unwrap();
    let error = error.1.require_empty(()).unwrap_err();
    assert_eq!(error.to_string(), "the body is not UTF-8 (byte 1)");
}

#[test]
fn an_error_about_a_long_text_is_short() {
    let long = "x".repeat(100_000);
    let bodies = [
        format!(r#"[{{"{long}": 1}}]"#),
        format!(r#"["{long}"]"#),
        format!(r#"["iops", {{}}, "{long}"]"#),
        format!(r#"["iops", {{}}, {{"{long}": 1}}]"#),
        format!(r#"["iops", {{}}, {{"1": "{long}"}}]"#),
        format!(r#"["iops", {{"{long}": 1}}, {{}}]"#),
    ];
    for body in bodies {
        let error = series(&body).unwrap_err();
        assert!(error.chars().count() < 420, "{error}");
    }
    let error = alert(&format!(r#"{{"{long}": {{}}}}"#)).unwrap_err();
    assert!(error.chars().count() < 420, "{error}");
}

#[test]
fn each_limit_is_reported_with_its_key() {
    let limits = BodyLimits {
        max_rows: 1,
        max_string_bytes: 4,
        ..BodyLimits::default()
    };
    let check = |body: &str| {
        let read = performance(body.as_bytes(), &limits);
        let whole = read.and_then(|(batch, rejected)| rejected.require_empty(batch));
        whole.unwrap_err().to_string()
    };
    let rows = "the body holds more than 1 items (send smaller batches, or raise `api.max_rows`)";
    assert_eq!(check(r#"[["a", {}, {}], ["a", {}, {}]]"#), rows);
    assert_eq!(check("[\"a\", {}, {}]\n[\"a\", {}, {}]"), rows);
    let text =
        "a text of 5 bytes, at most 4 are allowed (shorten it, or raise `api.max_string_bytes`)";
    assert_eq!(
        check(r#"["abcde", {}, {}]"#),
        format!("item 0: name: {text}")
    );
    assert_eq!(
        check(r#"["a", {"abcde": "1"}, {}]"#),
        format!("item 0: labels: {text}")
    );
    assert_eq!(
        check(r#"["a", {"1": "abcde"}, {}]"#),
        format!("item 0: labels: {text}")
    );
    let limits = BodyLimits {
        max_string_bytes: 8,
        ..limits
    };
    let (batch, rejected) = alerts(br#"{"alert_id": "123456789"}"#, &limits).unwrap();
    let error = rejected.require_empty(batch).unwrap_err().to_string();
    assert!(error.starts_with("item 0: alert_id: a text of 9 bytes, at most 8"));
    let (_, rejected) = performance(br#"[["abcd", {}, {}]]"#, &limits).unwrap();
    assert_eq!(rejected.total(), 0);
}

#[test]
fn an_alert_of_the_fake_driver_is_accepted_as_delfin_writes_it() {
    let batch = alert(
        r#"{"alert_id": 5195185, "sequence_number": 100, "alert_name": "SNMP connect failed",
            "type": "OperationalViolation", "location": null, "occur_time": 1795346556000,
            "rack": 7, "cleared": false}"#,
    )
    .unwrap();
    let alert = batch.alerts().next().unwrap();
    assert_eq!(alert.alert_id(), Some("5195185"));
    assert_eq!(alert.sequence_number(), Some("100"));
    assert_eq!(alert.alert_type(), Some("OperationalViolation"));
    assert_eq!(alert.location(), None);
    assert_eq!(alert.occur_time(), 1_795_346_556_000);
    let extra: Vec<_> = alert.extra().iter().collect();
    assert_eq!(extra, [("rack", "7"), ("cleared", "false")]);
}

#[test]
fn an_alert_without_a_time_occurred_now() {
    let batch =
        alert("[{\"alert_name\": \"a\"}, {\"occur_time\": 5, \"alert_id\": \"b\"}]").unwrap();
    let times: Vec<_> = batch.alerts().map(|alert| alert.occur_time()).collect();
    assert_eq!(times, [NOW, 5]);
}

#[test]
fn an_invalid_alert_is_reported_with_its_item() {
    let check = |item: &str| alert(&format!("{{\"alert_id\": 1}}\n{item}")).unwrap_err();
    assert_eq!(
        check(r#"{"severity": "Major"}"#),
        "item 1: has neither `alert_id` nor `alert_name`"
    );
    assert_eq!(
        check(r#"{"alert_id": ""}"#),
        "item 1: has neither `alert_id` nor `alert_name`"
    );
    assert_eq!(
        check(r#"{"alert_id": 1, "alert_id": 2}"#),
        "item 1: `alert_id` comes twice"
    );
    assert_eq!(
        check(r#"{"rack": {"u": 1}}"#),
        "item 1: `rack` is an object, not a text, number or boolean"
    );
    assert_eq!(
        check(r#"{"occur_time": "now"}"#),
        "item 1: occur_time: `now` is not an integer of milliseconds"
    );
    assert_eq!(
        check(r#"{"occur_time": 1.5}"#),
        "item 1: occur_time: `1.5` is not an integer of milliseconds"
    );
    assert_eq!(
        check(r#"{"occur_time": 1, "occur_time": 2}"#),
        "item 1: `occur_time` comes twice"
    );
    assert_eq!(
        check("[1]"),
        "item 1: invalid type: sequence, expected an alert, an object"
    );
}

/// What is read of a body that has mistakes: the names of its series, and what is
/// said of the items that are left out.
fn parsed(body: &str) -> (Vec<String>, Vec<String>) {
    let (batch, rejected) = performance(body.as_bytes(), &BodyLimits::default()).unwrap();
    let names = batch.series().map(|series| series.name().to_owned());
    let said = rejected.named().map(|item| match item.line {
        Some(line) => format!("{} in line {line}: {}", item.index, item.error),
        None => format!("{}: {}", item.index, item.error),
    });
    assert_eq!(rejected.total(), rejected.named().len() as u64);
    (names.collect(), said.collect())
}

fn check_parsed(body: &str, names: &[&str], said: &[&str]) {
    let (found, rejected) = parsed(body);
    assert_eq!(found, names, "{body}");
    assert_eq!(rejected, said, "{body}");
}

#[test]
fn the_valid_items_of_an_array_are_accepted_and_the_others_reported() {
    check_parsed(
        r#"[["a", {}, {"1": 2}], {"name": 5, "labels": {"k": [{}]}, "values": {}}, 7,
            ["b", {"k": "v"}, {"1": "]"}], ["c", {}, {"1": 2}]]"#,
        &["a", "c"],
        &[
            "1: name: `5` is not a text",
            r#"2: invalid type: integer `7`, expected a series, {"name", "labels", "values"} or [name, labels, values]"#,
            r#"3: values: `"]"` is not a number"#,
        ],
    );
}

#[test]
fn nothing_of_a_rejected_item_is_left_in_the_next_one() {
    let (batch, rejected) = performance(
        br#"[["a", {"k": "1"}, {"1": 1, "2": "x"}], ["b", {"l": "2"}, {"3": 3}],
             ["c", {"k": "1", "k": "2"}, {}], ["d", {"k": "3"}, {"1": 1, "1": 1}],
             ["", {"k": "4"}, {"1": 1}], ["e", {"k": "5"}, {"4": 4}]]"#,
        &BodyLimits::default(),
    )
    .unwrap();
    let read: Vec<_> = batch.series().map(shown).collect();
    assert_eq!(
        read,
        [r#"b {"l": "2"} [(3, 3.0)]"#, r#"e {"k": "5"} [(4, 4.0)]"#]
    );
    assert_eq!(rejected.total(), 4);
    assert_eq!(batch.items(), 2);
}

#[test]
fn a_line_that_is_not_json_is_one_rejected_item() {
    let good = r#"["a", {}, {"1": 2}]"#;
    let other = r#"{"name": "b", "labels": {}, "values": {}}"#;
    check_parsed(
        &format!("{good}\n{{\"name\": \"cut off\",\n\n{other}\n[\"c\" 1]\n{good}\nrubbish\n"),
        &["a", "b", "a"],
        &[
            "1 in line 2: not JSON: key must be a string (line 4, column 1)",
            "3 in line 5: not JSON: expected `,` or `]` (line 5, column 6)",
            "5 in line 7: not JSON: expected value (line 7, column 1)",
        ],
    );
    check_parsed(
        &format!("{{\"name\": 1\n{good}\n{{\"name\": 2}}\n"),
        &["a"],
        &[
            "0 in line 1: not JSON: expected `,` or `}` (line 2, column 1)",
            "2 in line 3: name: `2` is not a text",
        ],
    );
}

#[test]
fn an_item_may_span_lines_before_the_first_syntax_error() {
    check_parsed(
        "{\"name\":\n \"a\", \"labels\": {},\n \"values\": {}}\n{\"name\":\n1}\n[\"b\",\n{}, {}]",
        &["a", "b"],
        &["1 in line 4: name: `1` is not a text"],
    );
}

#[test]
fn a_syntax_error_in_an_array_refuses_the_whole_body() {
    for (body, wanted) in [
        (
            r#"[["a", {}, {}], 7 8]"#,
            "expected `,` or `]` (line 1, column 19, in item 2)",
        ),
        (
            "[{},\n[\"a\" {}]]",
            "expected `,` or `]` (line 2, column 6, in item 1)",
        ),
        (
            r#"[{"name": 1 "labels"}]"#,
            "expected `,` or `}` (line 1, column 13, in item 0)",
        ),
        (
            "[{}",
            "EOF while parsing a list (line 1, column 4, in item 1)",
        ),
        ("[{},]", "expected value (line 1, column 5, in item 1)"),
    ] {
        let error = performance(body.as_bytes(), &BodyLimits::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("the body is not JSON: {wanted}"));
    }
}

#[test]
fn unclosed_lines_are_read_in_linear_time() {
    // Each of them reads as the beginning of all that follows.
    let body = "{\"name\":[\n".repeat(200_000);
    let (batch, rejected) = performance(body.as_bytes(), &BodyLimits::default()).unwrap();
    assert_eq!((batch.rows(), rejected.total()), (0, 200_000));
    let items = "7 ".repeat(200_000);
    let body = format!("{{\n{items}");
    let (_, rejected) = performance(body.as_bytes(), &BodyLimits::default()).unwrap();
    assert_eq!(rejected.total(), 200_001);
}

#[test]
fn rejected_items_count_towards_the_limit() {
    let limits = BodyLimits {
        max_rows: 2,
        ..BodyLimits::default()
    };
    assert!(performance(b"[1, 2]", &limits).is_ok());
    for body in ["[1, 2, 3]", "1\n2\n3"] {
        let error = performance(body.as_bytes(), &limits).unwrap_err();
        assert!(error.to_string().contains("more than 2 items"), "{error}");
    }
}

#[test]
fn a_text_that_is_too_long_rejects_only_its_item() {
    let limits = BodyLimits {
        max_string_bytes: 4,
        ..BodyLimits::default()
    };
    let body = br#"[["a", {"k": "12345"}, {}], ["a", {"k": []}, {}], ["b", {}, {}]]"#;
    let (batch, rejected) = performance(body, &limits).unwrap();
    assert_eq!(batch.rows(), 1);
    let reasons: Vec<_> = rejected.by_reason().collect();
    assert_eq!(reasons, [("invalid", 1), ("text_too_long", 1)]);
}

#[test]
fn the_valid_alerts_are_accepted_and_the_others_reported() {
    let body =
        br#"[{"alert_id": 1}, {"severity": "Major"}, {"alert_id": {}}, {"alert_name": "b"}]"#;
    let (batch, rejected) = alerts(body, &BodyLimits::default()).unwrap();
    let ids: Vec<_> = batch.alerts().map(|alert| alert.alert_id()).collect();
    assert_eq!(ids, [Some("1"), None]);
    let named: Vec<_> = rejected.named().map(|item| item.index).collect();
    assert_eq!(named, [1, 2]);
}

#[test]
fn a_body_that_takes_too_long_is_refused() {
    let limits = BodyLimits {
        max_parse_time: std::time::Duration::ZERO,
        ..BodyLimits::default()
    };
    let error = performance(b"[[\"a\", {}, {}]]", &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the body takes longer than 0ns to read (send smaller batches)"
    );
}

#[test]
fn a_label_that_comes_twice_among_many_is_found() {
    let labels: Vec<_> = (0..100).map(|n| format!("\"l{n}\":1")).collect();
    let body = format!("[[\"a\", {{{},\"l50\":2}}, {{}}]]", labels.join(","));
    let (batch, rejected) = performance(body.as_bytes(), &BodyLimits::default()).unwrap();
    let error = rejected.require_empty(batch).unwrap_err().to_string();
    assert_eq!(error, "item 0: labels: label `l50` comes twice");
}

#[test]
fn a_label_that_is_null_is_absent() {
    let batch = series(r#"["iops", {"a": null, "b": "1"}, {}]"#).unwrap();
    let labels: Vec<_> = batch.series().next().unwrap().labels().iter().collect();
    assert_eq!(labels, [("b", "1")]);
}

/// What is said of the rejected items: index, name and error.
fn rejections(body: &[u8]) -> Vec<(usize, Option<String>, String)> {
    let (_, rejected) = performance(body, &BodyLimits::default()).unwrap();
    let said = rejected.named();
    said.map(|item| (item.index, item.name.clone(), item.error.to_string()))
        .collect()
}

fn rejection(index: usize, name: &str, error: &str) -> (usize, Option<String>, String) {
    (index, Some(name.to_owned()), error.to_owned())
}

#[test]
fn a_value_that_is_not_json_rejects_its_series_by_name() {
    let good = |name: &str| format!(r#"["{name}", {{"l": "NaN"}}, {{"1": 2}}]"#);
    let (first, last) = (good("first"), good("last"));
    let not_finite = |token: &str| format!("`{token}` is not a finite number");
    let not_json = |token: &str| {
        format!("`{token}` is not JSON (write a number such as `1.5`, or a text in quotes)")
    };
    let tokens = [
        "NaN",
        "nan",
        "-nan",
        "Infinity",
        "-Infinity",
        "inf",
        "-inf",
        "INFINITY",
    ]
    .map(|token| (token, not_finite(token)));
    let others = ["1,5", "+1", ".5", "0x1F", "None", "-nan(ind)", "1 GiB"];
    let empty = [("", "a value is missing".to_owned())];
    for (token, reason) in tokens
        .into_iter()
        .chain(others.map(|token| (token, not_json(token))))
        .chain(empty)
    {
        let bad = format!("[\"bad\", {{}}, {{\"1\": 1,\n \"2\": {token}, \"3\": NaN}}]");
        let error = format!("values: {reason}");
        for body in [
            format!("[{first},{bad} , {last}]"),
            format!("{first}\n{bad}\n{last}"),
        ] {
            assert_eq!(rejections(body.as_bytes()), [rejection(1, "bad", &error)]);
            assert_eq!(parsed(&body).0, ["first", "last"]);
        }
    }
    let (names, said) = parsed(&format!("[NaN, {first}, [[nan]]]"));
    assert_eq!((names.len(), said.len()), (1, 2));
    let label = format!(r#"[["bad", {{"l": None}}, {{"1": nan}}], {first}]"#);
    let error = format!("labels: {}", not_json("None"));
    assert_eq!(rejections(label.as_bytes()), [rejection(0, "bad", &error)]);
    // The first error is named.
    let two = format!(r#"[["bad", {{"l": []}}, {{"1": nan}}], {first}]"#);
    assert!(
        rejections(two.as_bytes())[0]
            .2
            .starts_with("labels: label `l` is an array")
    );
    // Another fault besides: the end of the item is not known.
    let body = format!(r#"[["bad", {{}}, {{"1": NaN "2": 1}}], {first}]"#);
    assert!(performance(body.as_bytes(), &BodyLimits::default()).is_err());
}

#[test]
fn a_byte_that_is_not_utf_8_rejects_only_its_item() {
    let good = |name: &str| format!(r#"["{name}", {{"l": "?"}}, {{"1": 2}}]"#).into_bytes();
    let bad = b"[\"bad\", {\"l\": \"vol-\xe9 \xc3\"}, {\"1\": 2}]".to_vec();
    let lines = [
        good("a"),
        bad.clone(),
        good("b"),
        b"{\xff".to_vec(),
        good("c"),
    ]
    .join(&b'\n');
    let (batch, _) = performance(&lines, &BodyLimits::default()).unwrap();
    let names: Vec<_> = batch
        .series()
        .map(|series| series.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    let offset = good("a").len() + 1 + 19;
    let first_error = format!("not UTF-8 (byte {offset})");
    let said = rejections(&lines);
    assert_eq!((said[0].0, &said[0].2), (1, &first_error));
    assert_eq!((said[1].0, said.len()), (3, 2));

    let array = [&b"["[..], &bad, b", ", &good("b"), b",", &bad, b"]"].concat();
    let (batch, rejected) = performance(&array, &BodyLimits::default()).unwrap();
    assert_eq!((batch.rows(), rejected.total()), (1, 2));
    let reasons: Vec<_> = rejected.by_reason().collect();
    assert_eq!(reasons, [("not_utf8", 2)]);
}

#[test]
fn lines_with_faults_are_read_in_linear_time() {
    for line in [
        &b"{\xff\n"[..],
        b"{} x \xff\n",
        b"{\"a\": NaN\n",
        b"{\"a\": NaN}\n",
        b"hello, NaN\n",
        b"{\"\xff\": 1\n",
    ] {
        let body = line.repeat(200_000);
        let (batch, rejected) = performance(&body, &BodyLimits::default()).unwrap();
        assert_eq!(batch.rows(), 0);
        assert!(rejected.total() >= 200_000, "{}", rejected.total());
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    for body in ["\u{feff}[[\"a\", {}, {}]]", "\u{feff}[\"a\", {}, {}]\n"] {
        assert_eq!(series(body).unwrap().rows(), 1);
    }
    assert!(series("\u{feff}").unwrap_err().contains("empty"));
}

fn notes(body: &str) -> Vec<String> {
    let items =
        super::performance(body.as_bytes(), &BodyLimits::default(), NOW, unlimited()).unwrap();
    items.notes.texts().collect()
}

#[test]
fn times_in_seconds_are_converted_and_counted_unless_their_series_is_rejected() {
    let body = r#"[["a", {}, {"1600000000": 1, "1600000060.0": 2, "1600000120000": 3}],
        ["b", {}, {"1600000000": "x"}], ["c", {}, {"1600000000": null}]]"#;
    let (batch, rejected) = performance(body.as_bytes(), &BodyLimits::default()).unwrap();
    let times = batch.series().next().unwrap().timestamps().to_vec();
    assert_eq!(
        times,
        [1_600_000_000_000, 1_600_000_060_000, 1_600_000_120_000]
    );
    assert_eq!(rejected.total(), 2);
    assert_eq!(
        notes(body),
        ["2 items: the time was in seconds and was converted (send milliseconds)"]
    );
    assert_eq!(notes(r#"["a", {}, {"1600000000000": 1}]"#), [""; 0]);
}

#[test]
fn the_time_of_an_alert_is_read_from_texts_and_floats_or_is_now() {
    let body = r#"[{"alert_id": 1, "occur_time": ""}, {"alert_id": 2, "occur_time": " "},
        {"alert_id": 3, "occur_time": "1600000000000"}, {"alert_id": 4, "occur_time": 1600000000000.0},
        {"alert_id": 5, "occur_time": 1600000000}, {"alert_id": 6, "occur_time": 1600000000.5},
        {"alert_id": 7, "occur_time": null}]"#;
    let items = super::alerts(body.as_bytes(), &BodyLimits::default(), NOW, unlimited()).unwrap();
    assert_eq!(items.rejected.total(), 0);
    let times: Vec<_> = items
        .batch
        .alerts()
        .map(|alert| alert.occur_time())
        .collect();
    let time = 1_600_000_000_000;
    assert_eq!(times, [NOW, NOW, time, time, time, time + 500, NOW]);
    let mut wanted = IngestNotes::default();
    wanted.add(NoteKind::EmptyTime, 2);
    wanted.add(NoteKind::Seconds, 2);
    assert_eq!(items.notes, wanted);
}

#[test]
fn a_field_that_comes_twice_is_found_among_few_and_among_many() {
    for fields in [2, 15, 16, 17, 200] {
        let names: Vec<_> = (0..fields).map(|n| format!("\"f\\u0030{n}\":1,")).collect();
        let with = |last: &str| format!("{{\"alert_id\":1,{}{last}}}", names.concat());
        // The second item starts from the beginning.
        let body = format!("[{},{}]", with("\"severity\":1"), with("\"severity\":1"));
        assert_eq!(alert(&body).unwrap().rows(), 2, "{fields}");
        for twice in [0, fields / 2, fields - 1] {
            let error = alert(&with(&format!("\"f0{twice}\":2"))).unwrap_err();
            assert_eq!(error, format!("item 0: `f0{twice}` comes twice"));
        }
    }
}

/// Whether 13 MiB of memory are enough for the body and what becomes of it.
fn parses_in_13_mib(body: &str, kind: Kind) -> bool {
    let limits = BodyLimits::default();
    let guard = ParseGuard::start(&limits, MemoryClaim::of_at_most(13 << 20));
    let parsed = match kind {
        Kind::Performance => super::performance(body.as_bytes(), &limits, NOW, guard).map(drop),
        Kind::Alert => super::alerts(body.as_bytes(), &limits, NOW, guard).map(drop),
    };
    match parsed {
        Ok(()) => true,
        Err(IngestError::TooMuchMemory { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn memory_is_claimed_for_what_a_body_becomes() {
    let performance = |body: &str| parses_in_13_mib(body, Kind::Performance);
    let point = |time: usize| format!("\"{}\":1", NOW as usize + time);
    let points = |count: usize| {
        let points: Vec<_> = (0..count).map(point).collect();
        format!("[[\"a\",{{}},{{{}}}]]", points.join(","))
    };
    assert!(performance(&points(10_000)));
    assert!(!performance(&points(300_000)));
    let labels = |count: usize| {
        let items = (0..count).map(|n| format!("[\"a\",{{\"l\":\"{n}\"}},{{}}]"));
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    };
    assert!(performance(&labels(1000)));
    assert!(!performance(&labels(400_000)));
    let alerts = |count: usize| format!("[{}]", vec!["{\"alert_id\":1}"; count].join(","));
    assert!(parses_in_13_mib(&alerts(1000), Kind::Alert));
    assert!(!parses_in_13_mib(&alerts(100_000), Kind::Alert));
    let copied = |bytes: usize| format!("[[\"a\",{{}},{{\"1\":NaN{}}}]]", " ".repeat(bytes));
    assert!(performance(&copied(1 << 20)));
    assert!(!performance(&copied(8 << 20)));
}
