use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
};
use serde_json::{Value, json};

use super::*;

/// The name, the rows and the requests of a service.
type Encoded = (String, Vec<usize>, Vec<Value>);

/// A series of a storage: its name; storage, type, id and unit; its points.
type Written<'a> = (&'a str, [&'a str; 4], &'a [(i64, f64)]);

fn encode<B: ResultBatch>(batch: &B) -> (Vec<Encoded>, Skipped) {
    let names = ServiceNames::read::<B>([None, None, None], &mut Mistakes::default());
    let mut results = CheckResults::default();
    let skipped = batch.encode(&names, &mut results);
    let services = results.take_services().into_iter().map(|service| {
        let bodies = service.content.bodies.iter();
        let bodies =
            bodies.map(|body| serde_json::from_slice(&results.text()[body.clone()]).unwrap());
        (
            service.content.name.join("!"),
            service.rows,
            bodies.collect(),
        )
    });
    (services.collect(), skipped)
}

fn performance(series: &[Written<'_>]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for (name, [storage, kind, id, unit], points) in series {
        let labels = [
            ("storage_name", *storage),
            ("resource_type", *kind),
            ("resource_id", *id),
            ("unit", *unit),
        ];
        batch.series(name, labels, points.iter().copied()).unwrap();
    }
    batch.build()
}

#[test]
fn points_of_a_service_and_a_time_are_one_result() {
    let points = [(1_000, 1.5), (500, f64::NAN), (2_250, 1e-9)];
    let batch = performance(&[
        ("readIops", ["a!1", "volume", "v='1", "IOPS"], &points),
        (
            "latency",
            ["a!1", "volume", "v \"2\"\n", "ms"],
            &points[..1],
        ),
        ("temp", ["b", "", "", "%"], &[(1, 7.0)]),
        ("none", ["b", "", "", "%"], &[]),
    ]);
    let (services, skipped) = encode(&batch);
    let of = |service: &str, time: f64, values: Value| {
        json!({
            "type": "Service",
            "service": service,
            "check_source": "delfin-host",
            "execution_start": time,
            "execution_end": time,
            "exit_status": 0,
            "plugin_output": format!("OK: {} values", values.as_array().unwrap().len()),
            "performance_data": values,
        })
    };
    let volumes = "a_1!delfin volume";
    let first = json!(["'v__1 readIops'=1.5", "'v \"2\"_ latency'=1.5ms"]);
    let second = json!(["'v__1 readIops'=1e-9"]);
    let expected = [
        (
            volumes.to_owned(),
            vec![0, 1],
            vec![of(volumes, 1.0, first), of(volumes, 2.25, second)],
        ),
        (
            "b!delfin".to_owned(),
            vec![2, 3],
            vec![of("b!delfin", 0.001, json!(["' temp'=7.0%"]))],
        ),
    ];
    assert_eq!(services, expected);
    assert_eq!(skipped.non_finite_points, 1);
}

fn alert(occur_time: i64, texts: &[(&str, &str)]) -> Value {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert { occur_time, texts });
    let batch: AlertBatch = batch.build();
    let (services, _) = encode(&batch);
    services[0].2[0].clone()
}

#[test]
fn an_alert_is_a_state_of_its_service() {
    let texts = [
        ("storage_id", "s"),
        ("alert_name", "fan\nout"),
        ("severity", "major"),
        ("location", "tray 1"),
        ("description", "a|b\nc"),
        ("rack", "7"),
    ];
    let result = alert(1_700_000_000_250, &texts);
    assert_eq!(result["service"], "s!fan_out tray 1");
    assert_eq!(result["exit_status"], 2);
    assert_eq!(result["execution_end"], 1_700_000_000.25);
    assert_eq!(
        result["plugin_output"],
        "major: fan out\na¦b\nc\nstorage_id: s\nalert_name: fan\nout\nseverity: major\nlocation: tray 1\n\
         rack: 7"
    );
    let of = |category: &str, severity: &str| {
        let result = alert(0, &[("category", category), ("severity", severity)]);
        assert_eq!(result.get("execution_end"), None);
        assert_eq!(result["service"], "_!_");
        result["exit_status"].as_u64().unwrap()
    };
    for (severity, state) in [
        ("Fatal", 2),
        ("Critical", 2),
        ("Major", 2),
        ("Minor", 1),
        ("Warning", 1),
        ("Informational", 0),
        ("NotSpecified", 3),
    ] {
        assert_eq!(of("Fault", severity), state, "{severity}");
        assert_eq!(of("Recovery", severity), 0);
        assert_eq!(of("Event", severity), 0);
    }
}
