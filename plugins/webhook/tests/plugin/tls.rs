//! Receivers with TLS, with and without client certificates.

use std::{io, sync::Arc};

use delfin_plugin_api::{
    Failure, Outcome,
    testkit::{TestReceiver, TestResponse},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{WantsServerCert, WebPkiClientVerifier},
};
use serde_json::{Value, json};

use crate::support::{Lab, export};

/// A certificate authority for the tests.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }

    /// A receiver with a certificate of this authority. With `mutual` it requires
    /// one of the client too.
    fn receiver(&self, name: &str, mutual: bool) -> TestReceiver {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        receiver(builder, &self.sign(name))
    }
}

fn receiver(builder: ConfigBuilder<ServerConfig, WantsServerCert>, own: &Signed) -> TestReceiver {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
    let config = builder.with_single_cert(vec![own.certificate.der().clone()], key);
    let config = Arc::new(config.unwrap());
    TestReceiver::start_tls(
        move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config));
            let connection = connection.map_err(io::Error::other)?;
            Ok(StreamOwned::new(connection, stream))
        },
        |_| TestResponse::new(200),
    )
}

/// What `openssl req -x509` makes: a self-signed certificate of an authority, for a server.
fn self_signed(change: impl Fn(&mut CertificateParams)) -> Signed {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    Signed {
        certificate: params.self_signed(&key).unwrap(),
        key,
    }
}

fn sent(lab: &Lab, settings: &Value) -> Outcome {
    export(&mut lab.alerts(settings), 2)
}

fn misconfigured(outcome: Outcome) -> String {
    match outcome {
        Err(Failure::Misconfigured { message }) => message,
        other => panic!("{other:?}"),
    }
}

/// A client whose certificate is refused may get the reason, or only a closed
/// connection: on a fast network the server closes it before the request is sent.
fn handshake_failed(outcome: &Outcome) {
    let expected = matches!(
        outcome,
        Err(Failure::Misconfigured { .. } | Failure::Retry { .. })
    );
    assert!(expected, "{outcome:?}");
}

#[test]
fn a_receiver_is_trusted_if_the_configured_authority_signed_its_certificate() {
    let lab = Lab::new();
    let authority = Authority::new();
    let ca = lab.file("ca.pem", &authority.certificate.pem());
    let receiver = authority.receiver("localhost", false);
    let good = json!({ "url": receiver.url("/"), "ca_certificate": ca });
    assert_eq!(sent(&lab, &good), Ok(()));
    assert_eq!(receiver.requests().len(), 1);

    let unknown = misconfigured(sent(&lab, &json!({ "url": receiver.url("/") })));
    assert!(
        unknown.contains("an authority that is not trusted (name"),
        "{unknown}"
    );
    let other = lab.file("other.pem", &Authority::new().certificate.pem());
    let other = json!({ "url": receiver.url("/"), "ca_certificate": other });
    misconfigured(sent(&lab, &other));
    let elsewhere = authority.receiver("example.com", false);
    let elsewhere = json!({ "url": elsewhere.url("/"), "ca_certificate": good["ca_certificate"] });
    let message = misconfigured(sent(&lab, &elsewhere));
    assert!(
        message.contains("is for `example.com`, not for `localhost`"),
        "{message}"
    );
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn the_receivers_own_certificate_is_trusted_if_it_is_configured() {
    let lab = Lab::new();
    let plain = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_no_client_auth()
    };
    let sent_to = |own: &Signed, trusted: &Signed| {
        let receiver = receiver(plain(), own);
        let ca = lab.file("own.pem", &trusted.certificate.pem());
        sent(
            &lab,
            &json!({ "url": receiver.url("/"), "ca_certificate": ca }),
        )
    };
    let own = self_signed(|_| {});
    assert_eq!(sent_to(&own, &own), Ok(()));
    let leaf = self_signed(|params| params.is_ca = IsCa::NoCa);
    assert_eq!(sent_to(&leaf, &leaf), Ok(()));
    // Not signed by itself: the certificate alone is enough.
    let signed = Authority::new().sign("localhost");
    assert_eq!(sent_to(&signed, &signed), Ok(()));

    let refused = |own: &Signed, trusted: &Signed, reason: &str| {
        let message = misconfigured(sent_to(own, trusted));
        assert!(message.contains(reason), "{message}");
    };
    refused(&self_signed(|_| {}), &own, "(name exactly this certificate");
    let elsewhere = self_signed(|params| {
        params.subject_alt_names = vec![SanType::DnsName("example.com".try_into().unwrap())];
    });
    refused(
        &elsewhere,
        &elsewhere,
        "is for `example.com`, not for `localhost`",
    );
    let old = self_signed(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    refused(&old, &old, "has expired (renew it");
}

#[test]
fn https_to_a_receiver_without_tls_is_misconfigured() {
    let receiver = TestReceiver::start(|_| TestResponse::new(200));
    let url = receiver.url("/").replace("http://", "https://");
    let message = misconfigured(sent(&Lab::new(), &json!({ "url": url })));
    assert!(
        message.contains("does not speak TLS (use another port"),
        "{message}"
    );
}

#[test]
fn a_receiver_that_requires_a_client_certificate_gets_it() {
    let lab = Lab::new();
    let authority = Authority::new();
    let receiver = authority.receiver("localhost", true);
    let ours = authority.sign("delfin");
    let stranger = Authority::new().sign("delfin");
    let mut settings = json!({
        "url": receiver.url("/"),
        "ca_certificate": lab.file("ca.pem", &authority.certificate.pem()),
    });
    handshake_failed(&sent(&lab, &settings));

    settings["client_certificate"] = json!(lab.file("c.pem", &ours.certificate.pem()));
    settings["client_key"] = json!(lab.file("c.key", &ours.key.serialize_pem()));
    assert_eq!(sent(&lab, &settings), Ok(()));
    assert_eq!(receiver.requests().len(), 1);

    settings["client_key"] = json!(lab.file("s.key", &stranger.key.serialize_pem()));
    let refused = lab.create("AlertExporterWebhook", &settings).err().unwrap();
    assert!(refused.contains("cannot use `client_key` `"), "{refused}");
    assert!(
        refused.contains("is not the key of `client_certificate`"),
        "{refused}"
    );

    settings["client_certificate"] = json!(lab.file("s.pem", &stranger.certificate.pem()));
    handshake_failed(&sent(&lab, &settings));
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let settings = json!({ "url": "https://localhost/", "ca_certificate": "/no/such/ca.pem" });
    let refused = Lab::new().create("PerformanceExporterWebhook", &settings);
    let refused = refused.err().unwrap();
    assert!(
        refused.contains("cannot use `ca_certificate` `/no/such/ca.pem`: No such file"),
        "{refused}"
    );
}
