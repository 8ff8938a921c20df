//! What a real Icinga has after results were sent, read back over its API.

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, Failure, NewAlert, PerformanceBatchBuilder,
    RowFailureKind,
    http::{Client, ClientSettings, Tls},
    testkit::{Harness, TestInstance, build_library, check_outcome},
};
use delfin_tests::{
    Authority, LONG_TEXT, deliver_in_spite_of_outages, receivers::Icinga, wait_for,
};
use serde_json::{Value, json};

use crate::{ALERTS, PERFORMANCE};

/// Reads objects of Icinga.
struct IcingaReader {
    client: Client,
    url: String,
}

impl IcingaReader {
    /// What a service of a host knows; null without it.
    fn service(&self, host: &str, name: &str) -> Value {
        let request = self
            .client
            .get(&format!("{}/v1/objects/services", self.url))
            .header("authorization", "Basic ZGVsZmluOnNlY3JldA==")
            .header("accept", "application/json")
            .max_response(1 << 20);
        let response = request
            .send(b"", std::time::Duration::from_secs(30))
            .unwrap();
        let services: Value = serde_json::from_slice(response.body().unwrap()).unwrap();
        let mut services = services["results"].as_array().unwrap().iter();
        let is_it = |service: &&Value| {
            service["attrs"]["host_name"] == host && service["attrs"]["name"] == name
        };
        services
            .find(is_it)
            .map_or(Value::Null, |service| service["attrs"].clone())
    }
}

#[test]
fn a_server_keeps_what_the_readme_says() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let Some(mut icinga) = Icinga::start(&harness.new_folder(), &authority) else {
        return;
    };
    let settings = json!({
        "url": icinga.url(),
        "username": "delfin",
        "password": "secret",
        "ca_certificate": authority.certificate,
    });
    let client = Client::new(&ClientSettings {
        tls: Tls {
            ca_certificate: Some(authority.certificate.clone()),
            client_certificate: None,
        },
        ..ClientSettings::default()
    });
    let reader = IcingaReader {
        client: client.unwrap(),
        url: icinga.url(),
    };
    nothing_is_missing_after_a_stop(&mut icinga, &reader, &settings);
    services_of_a_new_host_are_created_by_several_workers(&harness, &reader, &settings);
    awkward_texts_arrive_with_a_client_certificate(&harness, &authority, &reader, &settings);
    an_alert_is_a_state_until_its_recovery(&harness, &reader, &settings);
    users_and_objects_that_are_wrong_have_their_outcome(&harness, &settings);
}

/// Each service has the result of the last batch, although Icinga was stopped meanwhile.
fn nothing_is_missing_after_a_stop(icinga: &mut Icinga, reader: &IcingaReader, settings: &Value) {
    let batches: Vec<_> = (0..30)
        .map(|number| {
            json!([{
                "name": "iops",
                "labels": {
                    "storage_id": "s",
                    "storage_name": "array 1",
                    "resource_type": format!("disk{}", number % 10),
                    "resource_id": "d",
                },
                "values": { (1_700_000_000_000_i64 + number).to_string(): number },
            }])
        })
        .collect();
    let library = build_library();
    deliver_in_spite_of_outages(&library, PERFORMANCE, settings, &batches, |is_down| {
        if is_down {
            icinga.stop();
        } else {
            icinga.restart();
        }
    });
    for disk in 0..10 {
        let service = reader.service("array 1", &format!("delfin disk{disk}"));
        let result = &service["last_check_result"];
        let number = f64::from(20 + disk);
        assert_eq!(
            result["performance_data"],
            json!([format!("'d iops'={number:?}")])
        );
        assert_eq!(service["state"], 0.0);
    }
}

/// Sends a batch until Icinga finds the objects that were created for it.
fn deliver<B: Batch>(exporter: &mut TestInstance, batch: &B) {
    wait_for("a delivered batch", || match exporter.send(batch) {
        Ok(()) => Some(()),
        Err(Failure::Retry { .. }) => None,
        Err(Failure::Partial { rows, .. })
            if rows.iter().all(|row| row.kind == RowFailureKind::Retry) =>
        {
            None
        }
        other => panic!("{other:?}"),
    });
}

fn services_of_a_new_host_are_created_by_several_workers(
    harness: &Harness,
    reader: &IcingaReader,
    settings: &Value,
) {
    let kinds: Vec<_> = (0..20).map(|number| format!("kind{number}")).collect();
    let mut batch = PerformanceBatchBuilder::new();
    for kind in &kinds {
        let labels = [("storage_name", "array 3"), ("resource_type", kind)];
        batch.series("iops", labels, [(1_000, 1.0)]).unwrap();
    }
    deliver(&mut harness.start(PERFORMANCE, settings), &batch.build());
    for kind in &kinds {
        assert_eq!(
            reader.service("array 3", &format!("delfin {kind}"))["state"],
            0.0
        );
    }
}

fn awkward_texts_arrive_with_a_client_certificate(
    harness: &Harness,
    authority: &Authority,
    reader: &IcingaReader,
    settings: &Value,
) {
    let files = authority.issue("client");
    let settings = json!({
        "url": settings["url"],
        "ca_certificate": settings["ca_certificate"],
        "client_certificate": files.certificate,
        "client_key": files.key,
    });
    let texts = [
        "say \"no\" \\",
        "a='b'\n\t",
        "grüße 🦀",
        " ",
        "",
        "a/b!c|d",
        LONG_TEXT,
    ];
    let shown = [
        "say \"no\" \\",
        "a__b___",
        "grüße 🦀",
        " ",
        "",
        "a/b!c|d",
        &LONG_TEXT[..200],
    ];
    let values = [0.1 + 0.2, 1e-9, f64::MAX, -0.0, f64::NAN, f64::INFINITY];
    let mut batch = PerformanceBatchBuilder::new();
    for text in texts {
        let labels = [
            ("storage_name", "größe/1"),
            ("resource_type", "v"),
            ("resource_id", text),
        ];
        batch.series("iops", labels, (5_000..).zip(values)).unwrap();
    }
    deliver(&mut harness.start(PERFORMANCE, &settings), &batch.build());
    let service = reader.service("größe/1", "delfin v");
    let result = &service["last_check_result"];
    let expected: Vec<_> = shown
        .iter()
        .map(|shown| format!("'{shown} iops'=-0.0"))
        .collect();
    // The last finite value has the last time.
    assert_eq!(result["performance_data"], json!(expected));
    assert_eq!(result["execution_end"], 5.003);
}

fn alert(category: &str, severity: &str, time: i64) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert {
        occur_time: time,
        texts: &[
            ("storage_name", "array 2"),
            ("alert_name", "say \"no\" 🦀"),
            ("severity", severity),
            ("category", category),
            ("description", "a\nb"),
        ],
    });
    batch.build()
}

fn an_alert_is_a_state_until_its_recovery(
    harness: &Harness,
    reader: &IcingaReader,
    settings: &Value,
) {
    let mut exporter = harness.start(ALERTS, settings);
    let state = || reader.service("array 2", "say \"no\" 🦀")["state"].clone();
    // Nothing has begun: no service is made for the end.
    assert_eq!(exporter.send(&alert("Recovery", "Major", 1_000)), Ok(()));
    assert_eq!(state(), Value::Null);
    for (category, severity, expected) in [
        ("Fault", "Major", 2.0),
        ("Fault", "Minor", 1.0),
        ("Fault", "NotSpecified", 3.0),
        ("Recovery", "Major", 0.0),
    ] {
        deliver(&mut exporter, &alert(category, severity, 2_000));
        wait_for("a state", || (state() == expected).then_some(()));
    }
    let output = reader.service("array 2", "say \"no\" 🦀")["last_check_result"]["output"].clone();
    let output = output.as_str().unwrap();
    assert!(
        output.starts_with("Ended: say \"no\" 🦀\na\nb\n"),
        "{output}"
    );
    assert_eq!(exporter.outcome_of("health"), Ok(()));
}

fn users_and_objects_that_are_wrong_have_their_outcome(harness: &Harness, settings: &Value) {
    let send = |key: &str, value: Value| {
        let mut settings = settings.clone();
        settings[key] = value;
        let mut batch = PerformanceBatchBuilder::new();
        let labels = [("storage_name", "array 9"), ("resource_type", "v")];
        batch.series("iops", labels, [(1, 1.0)]).unwrap();
        harness.start(PERFORMANCE, &settings).send(&batch.build())
    };
    let unknown = send("create", json!(false));
    let Err(Failure::Partial { rows, .. }) = &unknown else {
        panic!("{unknown:?}")
    };
    assert!(
        rows[0].kind == RowFailureKind::Rejected && rows[0].reason.contains("`array 9`"),
        "{rows:?}"
    );
    check_outcome(&send("password", json!("wrong")), "unauthorized", "401");
    let limited = send("username", json!("limited"));
    check_outcome(&limited, "misconfigured", "allow `objects/create/Host`");
}
