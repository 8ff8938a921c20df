use std::path::Path;

use delfin_plugin_api::Batch;
use proptest::prelude::*;

use super::*;
use crate::{
    ingest::{BodyLimits, MemoryClaim, ParseGuard},
    inputs::{ParsedSeries, SeriesInput, SeriesMappings},
};

const NOW: i64 = 1_700_000_000_000;

fn parse_within(body: &[u8], guard: ParseGuard) -> Result<ParsedSeries, IngestError> {
    let mappings = SeriesMappings::load(SeriesInput::Influxdb, Path::new("/nonexistent")).unwrap();
    let mut writer = SeriesWriter::new(&mappings, &BodyLimits::default(), NOW, guard);
    read(LinePrecision::Seconds, "b", body, &mut writer)?;
    Ok(writer.finish())
}

fn parse(body: &[u8]) -> ParsedSeries {
    parse_within(body, ParseGuard::unlimited(&BodyLimits::default())).unwrap()
}

fn check(line: &str, wanted: &[&str]) {
    let parsed = parse(line.as_bytes());
    let refused: Vec<_> = parsed.items.rejected.named().collect();
    assert!(refused.is_empty(), "{line}: {refused:?}");
    let series = parsed.items.batch.series();
    let row = |one: delfin_plugin_api::Series<'_>| {
        let label = |key: &str| one.labels().get(key).unwrap_or("-").to_owned();
        let (time, value) = one.points().next().unwrap();
        let labels = [label("resource_type"), label("resource_id"), label("x")];
        format!("{} {} {} {value}", one.name(), labels.join(" "), time - NOW)
    };
    assert_eq!(series.map(row).collect::<Vec<_>>(), wanted, "{line}");
}

#[test]
fn each_field_of_a_line_is_a_series() {
    check("m,host=a v=1 1700000001", &["m_v storage a - 1000 1"]);
    check("m,host=a v=1", &["m_v storage a - 0 1"]);
    check(
        "m,host=a,x=y a=1i,b=2u,c=t,d=F,e=-1.5e3 1700000000\r\n",
        &[
            "m_a storage a y 0 1",
            "m_b storage a y 0 2",
            "m_c storage a y 0 1",
            "m_d storage a y 0 0",
            "m_e storage a y 0 -1500",
        ],
    );
    check(
        "diskio,host=a,name=sda reads=7i\ndisk,host=a,path=/var free=8i",
        &[
            "diskio_reads disk sda - 0 7",
            "disk_free filesystem /var - 0 8",
        ],
    );
    check("", &[]);
    check("# comment\n\n  \nm,host=a v=1", &["m_v storage a - 0 1"]);
}

#[test]
fn escapes_are_removed() {
    check(
        r"a\ b\,c,host=a,x=1\=2\ 3\\ f\=g=1",
        &[r"a b,c_f=g storage a 1=2 3\\ 0 1"],
    );
    check(
        "m,host=a t=\"x, y=\\\"z\\\"\nnext\",v=2",
        &["m_v storage a - 0 2"],
    );
    let parsed = parse(b"m,host=a t=\"x\\\\\",u=\"\"");
    assert_eq!(parsed.skipped.get(SkipReason::NoNumber), 2);
}

#[test]
fn a_line_with_a_mistake_is_refused_with_its_number_and_the_others_are_kept() {
    let check = |line: &[u8], wanted: &str| {
        let body = [b"m,host=a v=\"a\nb\",w=1\n", line, b"\nm,host=a v=1\n"].concat();
        let parsed = parse(&body);
        let refused = parsed.items.rejected.named().next().unwrap();
        assert_eq!(
            (refused.line, &*refused.error.to_string()),
            (Some(3), wanted)
        );
        assert_eq!(parsed.items.batch.items(), 2);
        assert_eq!(parsed.rejected_points, 1);
    };
    check(b",host=a v=1", "the measurement is missing");
    check(b"m,host=a", "the fields are missing");
    check(b"m,host=a ", "the fields are missing");
    check(b"m,host v=1", "the tag `host` has no value");
    check(b"m,=a v=1", "a tag has no name");
    check(b"m,host=a v", "the field `v` has no value");
    check(
        b"m,host=a v=x",
        "the field `v` has the value `x`, which is no number (write texts in quotes)",
    );
    check(b"m,host=a v=1 x", "`x` is not a time");
    check(b"m,host=a v=1 1 x", "`x` follows the end of the line");
    check(b"m,host=\xff v=1", "is not UTF-8 (send the text in UTF-8)");
    check(b"m,host=a\0b v=1", "has a NUL character (remove it)");
    check(
        b"m v=1",
        "no rule of the mapping files gives it a `storage_id` (add a `[[series]]` rule)",
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    check("\u{feff}m,host=a v=1", &["m_v storage a - 0 1"]);
}

#[test]
fn times_have_the_unit_of_the_precision() {
    for (name, time, wanted) in [
        ("", 1_999_999, 1),
        ("ns", -1, -1),
        ("u", 5_000, 5),
        ("us", 5_999, 5),
        ("ms", 5, 5),
        ("s", 5, 5_000),
        ("m", 5, 300_000),
        ("h", i64::MAX, i64::MAX),
    ] {
        assert_eq!(
            LinePrecision::from_name(name).unwrap().to_ms(time),
            wanted,
            "{name}"
        );
    }
    assert_eq!(LinePrecision::from_name("d"), None);
}

#[test]
fn a_body_costs_no_more_memory_than_there_is() {
    let limits = BodyLimits::default();
    let guard = ParseGuard::start(&limits, MemoryClaim::of_at_most(16 << 20));
    let body = "m,host=a v=1\n".repeat(400_000);
    let error = parse_within(body.as_bytes(), guard)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("more than 16777216 bytes of memory"),
        "{error}"
    );
    let fields = format!("m,host=a {}z=1", "a=1,".repeat(5000));
    let parsed = parse(fields.as_bytes());
    assert_eq!(parsed.items.rejected.total(), 1);
}

proptest! {
    #[test]
    fn no_body_crashes_the_reader(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(&b"m,= \"\\\n1#i"[..])], 0..200,
    )) {
        let _ = parse(&bytes);
    }
}
