//! Bodies are read as if `serde_json` had read every item: the same batch, the same errors, the same notes.

use std::{borrow::Cow, iter::repeat_n};

use proptest::{
    prelude::{Just, ProptestConfig, Strategy, any},
    prop_assert_eq, prop_oneof, proptest,
    sample::{Index, select},
};
use serde::Deserializer;

use super::{
    AlertItemBuilder, BodyText, ItemBuilder, ItemSplitter, ItemTracker, SeriesItemBuilder,
};
use crate::{
    batch::AnyBatch,
    ingest::{BodyLimits, IngestError, ParseGuard, ParsedItems},
};

const NOW: i64 = 1_700_000_000_000;

/// Reads every item by `serde_json`.
struct SerdeItems<B>(B);

impl<'de, B: ItemBuilder<'de>> ItemBuilder<'de> for SerdeItems<B> {
    fn begin_item(&mut self) {
        self.0.begin_item();
    }

    fn plain_item(&mut self, _: &'de str) -> Option<usize> {
        None
    }

    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error> {
        self.0.item(item)
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    fn discard(&mut self) {
        self.0.discard();
    }

    fn item_name(&self) -> Option<Cow<'_, str>> {
        self.0.item_name()
    }

    fn tracker(&mut self) -> &mut ItemTracker {
        self.0.tracker()
    }
}

fn tracker() -> ItemTracker {
    let limits = BodyLimits {
        max_string_bytes: 12,
        ..BodyLimits::default()
    };
    ItemTracker::new(&limits, NOW, ParseGuard::unlimited(&limits))
}

fn read<'de>(
    body: &'de BodyText<'de>,
    items: &mut impl ItemBuilder<'de>,
) -> Result<(), IngestError> {
    let part = body.start()..body.as_str().len();
    ItemSplitter::new(body, part).read(items)
}

/// All that is told of a body, and its rows.
fn shown<B: Into<AnyBatch>>(read: Result<(), IngestError>, items: ParsedItems<B>) -> String {
    let ParsedItems {
        batch,
        rejected,
        notes,
        ..
    } = items;
    let rows = batch.into();
    format!("{read:?}\n{rejected:?}\n{notes:?}\n{:?}", rows.as_arrow())
}

fn series_both_ways(body: &[u8]) -> [String; 2] {
    let body = BodyText::new(body);
    let mut plain = SeriesItemBuilder::new(tracker());
    let by_plain = read(&body, &mut plain);
    let mut serde = SerdeItems(SeriesItemBuilder::new(tracker()));
    let by_serde = read(&body, &mut serde);
    [
        shown(by_plain, plain.build()),
        shown(by_serde, serde.0.build()),
    ]
}

fn alerts_both_ways(body: &[u8]) -> [String; 2] {
    let body = BodyText::new(body);
    let mut plain = AlertItemBuilder::new(tracker(), NOW);
    let by_plain = read(&body, &mut plain);
    let mut serde = SerdeItems(AlertItemBuilder::new(tracker(), NOW));
    let by_serde = read(&body, &mut serde);
    [
        shown(by_plain, plain.build()),
        shown(by_serde, serde.0.build()),
    ]
}

const SPACE: [&str; 6] = ["", "", "", " ", "\n", "\t\r\n "];

const KEYS: [&str; 10] = [
    r#""a""#,
    r#""a""#,
    r#""storage_id""#,
    r#""alert_id""#,
    r#""alert_name""#,
    r#""occur_time""#,
    r#""\u0061""#,
    r#""é\n""#,
    r#""""#,
    r#""a long name of a label""#,
];

const TIMES: [&str; 14] = [
    r#""1600000000000""#,
    r#""1600000000001""#,
    r#""1600000060000""#,
    r#""1600000000""#,
    r#""1.6e12""#,
    r#""01600000000000""#,
    r#""\u0031""#,
    r#""5""#,
    r#""99999999999999""#,
    r#""9999999999999999999999""#,
    r#""-1""#,
    r#""""#,
    r#"" 1""#,
    r#""x""#,
];

const VALUES: [&str; 34] = [
    "1",
    "-0",
    "0.5",
    "29.534088718585423",
    "9007199254740993",
    "1e-7",
    "1E+300",
    "1e999",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1,5",
    "0x1F",
    "NaN",
    "null",
    "true",
    "false",
    "tru",
    "{}",
    "[1, {}]",
    r#""1.5""#,
    r#""v""#,
    r#""""#,
    r#""\u00e9\"""#,
    r#""\ud800""#,
    "\"\t\"",
    "\"a\nb\"",
    r#""é""#,
    r#""unended"#,
    r#""a long text of a label""#,
    "1600000000000",
    r#""1600000000""#,
];

/// An object with members of these keys.
fn object(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let space = || select(&SPACE[..]);
    let member = (space(), select(keys), space(), space(), select(&VALUES[..]));
    let member = member.prop_map(|(s1, key, s2, s3, value)| format!("{s1}{key}{s2}:{s3}{value}"));
    let members = proptest::collection::vec((member, space()), 0..6);
    members.prop_map(|members| {
        let texts = members.into_iter().map(|(member, space)| member + space);
        format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
    })
}

fn series() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(r#""iops""#),
        Just(r#""i\u006fps""#),
        select(&VALUES[..])
    ];
    let parts = (
        name,
        object(&KEYS),
        object(&TIMES),
        any::<u8>(),
        select(&SPACE[..]),
    );
    parts.prop_map(|(name, labels, values, form, space)| match form % 8 {
        0..3 => format!("[{name},{space}{labels},{values}]"),
        3..6 => format!(r#"{{"name":{name},"labels":{labels},{space}"values":{values}}}"#),
        6 => format!(r#"{{"values":{values},"name":{name},"name":{name},"labels":{labels}}}"#),
        _ => format!(r#"{{"values":{values},"labels":{labels}{space}}}"#),
    })
}

/// A body of items, each once or twice, in which some bytes can be others.
fn body(item: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let items = proptest::collection::vec(item, 0..5);
    let bytes = select(&b"\"{}[],:\\ \n0e.-a\xff\xe9"[..]);
    let changes = proptest::collection::vec((any::<Index>(), bytes), 0..2);
    let form = (any::<bool>(), 1..3_usize);
    (items, form, changes).prop_map(|(items, (in_array, times), changes)| {
        let repeated = items.into_iter().flat_map(|item| repeat_n(item, times));
        let items: Vec<_> = repeated.collect();
        let mut body = if in_array {
            format!("[{}]", items.join(",")).into_bytes()
        } else {
            items.join("\n").into_bytes()
        };
        for (index, byte) in changes {
            if !body.is_empty() {
                let index = index.index(body.len());
                body[index] = byte;
            }
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: delfin_tests::soak(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn series_are_read_as_by_serde_json(body in body(series())) {
        let [plain, serde] = series_both_ways(&body);
        prop_assert_eq!(plain, serde, "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn alerts_are_read_as_by_serde_json(body in body(object(&KEYS))) {
        let [plain, serde] = alerts_both_ways(&body);
        prop_assert_eq!(plain, serde, "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn what_programs_write_is_plain() {
    let check = |item: &str| {
        let mut series = SeriesItemBuilder::new(tracker());
        series.begin_item();
        assert_eq!(
            series.plain_item(item),
            Some(item.trim_end().len()),
            "{item}"
        );
    };
    check(r#"{"name": "iops", "labels": {"a": "b"}, "values": {"1600000000000": 1.5}}"#);
    check(r#"["iops",{"a":1,"b":true,"c":null,"d":"\u00e9\n"},{"1":"1.5","2":-3e5}] "#);
    let mut alerts = AlertItemBuilder::new(tracker(), NOW);
    alerts.begin_item();
    let item = r#"{"alert_id": 1, "location": null, "occur_time": 1600000000000, "x": "\"\u4e2d"}"#;
    assert_eq!(alerts.plain_item(item), Some(item.len()));
}
