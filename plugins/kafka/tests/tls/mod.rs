//! Connections over TLS, and what is said when they fail.

use std::{fs, path::Path, time::Duration};

use delfin_plugin_api::{Batch, Failure, Outcome, sample, testkit::Harness};
use serde_json::{Value, json};

use crate::{
    broker::{Broker, PATIENCE},
    export, performance, sent, shared, triples,
};

fn deliver(broker: &Broker, servers: &str, tls: &Value, remaining: Duration) -> Outcome {
    let harness = Harness::of_crate();
    let batch = sample::performance(10, 1);
    let settings = json!({ "tls": tls });
    let mut instance = performance(&harness, servers, "tls", &settings);
    let outcome = export(&mut instance, batch.as_arrow(), remaining);
    if outcome.is_ok() {
        assert!(triples(&broker.arrived("tls", 1)).ends_with(&sent(&batch)));
    }
    outcome
}

/// Why nothing is delivered until an operator does something.
fn paused(outcome: Outcome) -> String {
    let Err(Failure::Misconfigured { message }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        !message.contains("SSL") && !message.contains("error:"),
        "{message}"
    );
    message
}

/// A PEM file that holds the key and the certificate of the broker.
fn pair(broker: &Broker) -> String {
    let folder = Path::new(&broker.ca()).parent().unwrap().to_owned();
    let pair = folder.join("pair.pem");
    let mut command = std::process::Command::new("openssl");
    command.args(["pkcs12", "-nodes", "-passin", "pass:delfin-secret", "-in"]);
    command.arg(folder.join("keys.p12")).arg("-out").arg(&pair);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    pair.display().to_string()
}

#[test]
fn the_certificate_of_an_authority_is_trusted_as_that_of_the_broker() {
    let Some(broker) = shared() else { return };
    broker.create_topic("tls", 1, &[]);
    let trusted = json!({ "ca": broker.ca() });
    let name = broker.tls_servers();
    assert_eq!(deliver(broker, &name, &trusted, PATIENCE), Ok(()));

    let unknown = paused(deliver(broker, &name, &json!(true), PATIENCE));
    let expected = "its certificate signs itself and is not trusted (name it as `tls.ca`)";
    assert_eq!(unknown, format!("broker `{name}`: {expected}"));

    let localhost = name.replace("127.0.0.1", "localhost");
    let other = paused(deliver(broker, &localhost, &trusted, PATIENCE));
    let expected =
        format!("broker `{localhost}`: its certificate is for `127.0.0.1`, not for `localhost` (");
    assert!(other.starts_with(&expected), "{other}");
    let any = json!({ "ca": broker.ca(), "verify_hostname": false });
    assert_eq!(deliver(broker, &localhost, &any, PATIENCE), Ok(()));

    let client = broker.client_tls_servers();
    let asked = paused(deliver(broker, &client, &trusted, PATIENCE));
    assert!(
        asked.contains("asks for a client certificate (set `tls.certificate`"),
        "{asked}"
    );
    let pair = pair(broker);
    let shown = json!({ "ca": broker.ca(), "certificate": pair, "key": pair });
    assert_eq!(deliver(broker, &client, &shown, PATIENCE), Ok(()));

    // A broker that restarts looks the same, so these are tried again.
    let tried = |outcome: Outcome| match outcome {
        Err(Failure::Retry { message, .. }) => message,
        outcome => panic!("{outcome:?}"),
    };
    let short = Duration::from_secs(10);
    let plain = tried(deliver(broker, &broker.servers(), &trusted, short));
    assert!(
        plain.contains("closes the connection during TLS (leave `tls` out"),
        "{plain}"
    );
    let without = tried(deliver(broker, &name, &json!(false), short));
    assert!(
        without.contains("without an answer (set `tls` if"),
        "{without}"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_reason() {
    let harness = Harness::of_crate();
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.pem");
    fs::write(&odd, "no certificate").unwrap();
    for (tls, expected) in [
        (
            json!({ "ca": "/missing.pem" }),
            "cannot use `tls.ca` `/missing.pem`: No such file",
        ),
        (json!({ "ca": odd }), "it is not a file in the form PEM"),
        (
            json!({ "certificate": "/c.pem", "key": "/k.pem" }),
            "cannot use `tls.certificate` `/c.pem`: No",
        ),
    ] {
        let settings = json!({ "tls": tls });
        let refused = harness
            .create("PerformanceExporterKafka", &settings, folder.path())
            .err()
            .unwrap();
        let text = refused.message;
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("error:"), "{text}");
    }
}
