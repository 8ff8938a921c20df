use delfin_plugin_api::{
    AlertBatchBuilder, NewAlert, PerformanceBatchBuilder,
    protobuf::{ProtobufField, ProtobufReader},
};

use super::*;

/// The contents of the fields with a path of field numbers.
fn find<'a>(message: &'a [u8], path: &[u32]) -> Vec<ProtobufField<'a>> {
    let [first, rest @ ..] = path else {
        unreachable!("a path has a field");
    };
    let fields = ProtobufReader::new(message).map(Result::unwrap);
    let found = fields.filter(|(number, _)| number == first);
    let found = found.map(|(_, field)| field);
    if rest.is_empty() {
        return found.collect();
    }
    found
        .flat_map(|field| match field {
            ProtobufField::Bytes(inner) => find(inner, rest),
            other => panic!("{other:?} is no message"),
        })
        .collect()
}

fn texts(message: &[u8], path: &[u32]) -> Vec<String> {
    let text = |field| match field {
        ProtobufField::Bytes(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?} is no text"),
    };
    find(message, path).into_iter().map(text).collect()
}

/// The attributes below a path, as `name=value`.
fn attributes(message: &[u8], path: &[u32]) -> Vec<String> {
    let text = |attribute, path: &[u32]| match attribute {
        ProtobufField::Bytes(bytes) => texts(bytes, path).concat(),
        other => panic!("{other:?} is no message"),
    };
    find(message, path)
        .into_iter()
        .map(|attribute| format!("{}={}", text(attribute, &[1]), text(attribute, &[2, 1])))
        .collect()
}

fn encode(batch: &impl OtlpBatch) -> (ProtobufWriter, EncodedItems) {
    let mut request = ProtobufWriter::default();
    let encoded = batch.encode(&mut request);
    (request, encoded)
}

#[test]
fn each_storage_is_a_resource_and_each_series_a_metric() {
    let mut batch = PerformanceBatchBuilder::new();
    for (storage, name, value_type) in [
        ("s1", "iops", "gauge"),
        ("s1", "reads", "counter"),
        ("s2", "iops", ""),
    ] {
        let labels = [
            ("storage_id", storage),
            ("name", "array"),
            ("resource_type", "disk"),
            ("resource_id", "d\"1\n🦀"),
            ("unit", "IOPS"),
            ("value_type", value_type),
            ("empty", ""),
        ];
        batch
            .series(name, labels, [(1000, 1.5), (-1, 2.0), (2000, f64::NAN)])
            .unwrap();
    }
    let (request, encoded) = encode(&batch.build());
    let bytes = request.as_bytes();
    assert_eq!(
        encoded,
        EncodedItems {
            items: 6,
            skipped_times: 3
        }
    );
    assert_eq!(
        attributes(bytes, &[1, 1, 1]),
        [
            "service.name=delfin-host",
            "service.instance.id=s1",
            "storage.id=s1",
            "storage.name=array",
            "service.name=delfin-host",
            "service.instance.id=s2",
            "storage.id=s2",
            "storage.name=array",
        ]
    );
    let names = ["delfin.disk.iops", "delfin.disk.reads", "delfin.disk.iops"];
    assert_eq!(texts(bytes, &[1, 2, 2, 1]), names);
    assert_eq!(texts(bytes, &[1, 2, 2, 3]), ["IOPS"; 3]);
    assert_eq!(
        attributes(bytes, &[1, 2, 2, 5, 1, 7])[..2],
        ["resource_type=disk", "resource_id=d\"1\n🦀"]
    );
    let gauge = [1, 2, 2, 5, 1];
    let times = find(bytes, &[&gauge[..], &[3]].concat());
    assert_eq!(
        times[..2],
        [1_000_000_000, 2_000_000_000].map(ProtobufField::Fixed64)
    );
    let values = find(bytes, &[&gauge[..], &[4]].concat());
    assert_eq!(
        values[..2],
        [1.5, f64::NAN].map(|value| ProtobufField::Fixed64(value.to_bits()))
    );
    // A counter is a cumulative, monotonic sum.
    assert_eq!(find(bytes, &[1, 2, 2, 7, 2]), [ProtobufField::Varint(2)]);
    assert_eq!(find(bytes, &[1, 2, 2, 7, 3]), [ProtobufField::Varint(1)]);
}

#[test]
fn an_alert_is_a_log_record() {
    let mut batch = AlertBatchBuilder::new();
    let texts_of = |severity, category| {
        [
            ("storage_id", "s"),
            ("vendor", "acme"),
            ("alert_id", "7"),
            ("alert_name", "Link down"),
            ("severity", severity),
            ("category", category),
            ("fan", "3"),
        ]
    };
    for (time, severity, category) in [
        (1000, "Major", "Fault"),
        (0, "Odd", "Fault"),
        (1000, "Fatal", "Recovery"),
    ] {
        batch.alert(NewAlert {
            occur_time: time,
            texts: &texts_of(severity, category),
        });
    }
    let (request, encoded) = encode(&batch.build());
    let bytes = request.as_bytes();
    assert_eq!(encoded.items, 3);
    assert_eq!(
        attributes(bytes, &[1, 1, 1]),
        [
            "service.name=delfin-host",
            "service.instance.id=s",
            "storage.id=s",
            "storage.vendor=acme"
        ]
    );
    let record = |field: u32| [1, 2, 2, field];
    assert_eq!(
        find(bytes, &record(1)),
        [ProtobufField::Fixed64(1_000_000_000); 2]
    );
    assert_eq!(find(bytes, &record(2)), [17, 9].map(ProtobufField::Varint));
    assert_eq!(texts(bytes, &record(3)), ["Major", "Odd", "Fatal"]);
    assert_eq!(texts(bytes, &[1, 2, 2, 5, 1]), ["Link down"; 3]);
    assert_eq!(
        attributes(bytes, &record(6))[..5],
        [
            "alert_id=7",
            "alert_name=Link down",
            "category=Fault",
            "severity=Major",
            "extra.fan=3"
        ]
    );
}

#[test]
fn names_have_only_characters_that_are_allowed() {
    let mut batch = PerformanceBatchBuilder::new();
    for name in ["", "7 größe", "a.b-c/d"] {
        batch.series(name, [("x", "y")], [(1, 1.0)]).unwrap();
    }
    let (request, _) = encode(&batch.build());
    let names = texts(request.as_bytes(), &[1, 2, 2, 1]);
    assert_eq!(names, ["delfin.", "delfin.7_gr__e", "delfin.a.b-c/d"]);
}
