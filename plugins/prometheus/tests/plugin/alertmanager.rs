//! A real Alertmanager gets the alerts.

use std::fs;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, Failure, NewAlert, decode_outcome, testkit::Instance,
};
use serde_json::{Value, json};

use crate::support::{Lab, Server, free_port, get_json, receiver, wait_for};

struct Alertmanager {
    port: u16,
    _server: Server,
}

impl Alertmanager {
    fn start(lab: &Lab, port: u16) -> Option<Self> {
        let binary = receiver("prometheus-alertmanager")?;
        let config = lab.path("alertmanager.yml");
        fs::write(
            &config,
            "global: {resolve_timeout: 1s}\nroute: {receiver: none}\nreceivers: [{name: none}]\n",
        )
        .unwrap();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", lab.path("alertmanager").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let server = Server::start(&binary, &arguments, lab.folder.path());
        let started = Self {
            port,
            _server: server,
        };
        wait_for("Alertmanager", || started.active());
        Some(started)
    }

    fn active(&self) -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts?active=true", self.port);
        Some(get_json(&url)?.as_array().unwrap().clone())
    }

    fn names(&self) -> Vec<String> {
        let active = self.active().unwrap();
        let names = active
            .iter()
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap());
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }
}

const NAMES: [&str; 4] = [
    "Communication failure",
    "Link state down",
    "Power failure",
    "SNMP connect failed",
];

/// The alerts of one sync: what may change from one to the next does.
fn sighting(sync: usize, names: &[&str], category: &str) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for name in names {
        let sequence = sync.to_string();
        let description = format!("seen in sync {sync} \"quoted\" \\ \n");
        let texts = [
            ("storage_id", "0d0a1f6e"),
            ("storage_name", "array grüße"),
            ("vendor", ""),
            ("alert_name", *name),
            ("sequence_number", &sequence),
            ("category", category),
            ("severity", "Critical"),
            ("location", "NetworkEntity=entity1"),
            ("description", &description),
            ("rack-no", "7"),
        ];
        let occur_time = 1_700_000_000_000 + sync as i64;
        batch.alert(NewAlert {
            occur_time,
            texts: &texts,
        });
    }
    batch.build()
}

fn send(exporter: &mut Instance, batch: &AlertBatch) {
    assert_eq!(decode_outcome(exporter.export(batch.as_arrow())), Ok(()));
}

#[test]
fn alerts_are_in_alertmanager_once_until_they_recover_whatever_is_restarted() {
    let (lab, port) = (Lab::new(), free_port());
    let Some(alertmanager) = Alertmanager::start(&lab, port) else {
        return;
    };
    let settings = json!({ "alert_manager_host": "127.0.0.1", "alert_manager_port": port });
    let mut exporter = lab.alerts(&settings);
    assert_eq!(decode_outcome(exporter.call("health")), Ok(()));
    assert_eq!(alertmanager.names(), [""; 0]);
    for sync in 0..3 {
        send(&mut exporter, &sighting(sync, &NAMES, "Fault"));
    }
    assert_eq!(alertmanager.names(), NAMES);
    check_first(&alertmanager.active().unwrap()[0]);

    send(&mut exporter, &sighting(4, &NAMES[1..2], "Recovery"));
    assert_eq!(alertmanager.names(), [NAMES[0], NAMES[2], NAMES[3]]);

    // Alertmanager is stopped, and has forgotten everything when it is back.
    drop(alertmanager);
    let failure = exporter.export(sighting(5, &NAMES, "Fault").as_arrow());
    let failure = decode_outcome(failure).unwrap_err();
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    let alertmanager = Alertmanager::start(&lab, port).unwrap();
    send(&mut exporter, &sighting(5, &NAMES, "Fault"));
    assert_eq!(alertmanager.names(), NAMES);

    // The host is stopped and started: what it knew of is still the same.
    drop(exporter);
    let mut exporter = lab.alerts(&settings);
    send(&mut exporter, &sighting(6, &NAMES, "Fault"));
    assert_eq!(alertmanager.names(), NAMES);
    send(&mut exporter, &sighting(7, &NAMES, "Recovery"));
    assert_eq!(alertmanager.names(), [""; 0]);
}

fn check_first(alert: &Value) {
    let labels = &alert["labels"];
    assert_eq!(labels["storage_name"], "array grüße");
    assert_eq!(labels["severity"], "Critical");
    for changing in [
        "vendor",
        "sequence_number",
        "category",
        "description",
        "occur_time",
    ] {
        assert_eq!(labels.get(changing), None, "{changing}");
    }
    let annotations = &alert["annotations"];
    assert_eq!(annotations["sequence_number"], "2");
    assert_eq!(
        annotations["description"],
        "seen in sync 2 \"quoted\" \\ \n"
    );
    assert_eq!(annotations["rack_no"], "7");
    // The first sighting began it, and it outlives `resolve_timeout`, one second here.
    assert_eq!(alert["startsAt"], "2023-11-14T22:13:20.000Z");
    let time = |key: &str| humantime::parse_rfc3339(alert[key].as_str().unwrap()).unwrap();
    let fires_for = time("endsAt").duration_since(time("updatedAt")).unwrap();
    assert!((290..=300).contains(&fires_for.as_secs()), "{fires_for:?}");
}
