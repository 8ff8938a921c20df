//! What errors of the server become, and how connections are protected.

use std::{io::Write, net::TcpListener, thread};

use delfin_plugin_api::{
    Failure, RowFailureKind,
    testkit::{Harness, check_outcome},
};
use delfin_tests::Authority;
use serde_json::json;

use crate::{
    ALERTS,
    support::{MailServer, named, with},
};

#[test]
fn tls_is_verified_and_a_wrong_login_pauses_the_exporter() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let [certificate, key] = [&issued.certificate, &issued.key].map(|file| file.to_str().unwrap());
    for tls in ["starttls", "tls"] {
        let options = [
            "--tls",
            tls,
            "--certificate",
            certificate,
            "--key",
            key,
            "--login",
            "delfin:secret",
        ];
        let Some(server) = MailServer::start(&options) else {
            return;
        };
        let send = |more: serde_json::Value| {
            let settings = with(server.settings(), json!({ "tls": tls }));
            let mut exporter = harness.start(ALERTS, &with(settings, more));
            exporter.send(&named(["a"]))
        };
        let login = |password: &str| {
            json!({
                "ca_certificate": authority.certificate,
                "username": "delfin",
                "password": password,
            })
        };
        assert_eq!(send(login("secret")), Ok(()));
        let outcome = send(login("hunter2"));
        check_outcome(&outcome, "unauthorized", "check `username` and `password`");
        check_outcome(
            &send(json!({})),
            "misconfigured",
            "an authority that is not trusted",
        );
        assert_eq!(server.mails().len(), 1);
    }
}

#[test]
fn a_refused_mail_becomes_a_dead_letter_and_a_refused_recipient_pauses_the_exporter() {
    let harness = Harness::of_crate();
    let Some(mut server) = MailServer::start(&[]) else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &server.settings());
    let outcome = exporter.send(&named(["a", "unacceptable", "b"]));
    let Err(Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    assert_eq!(server.mails().len(), 2);

    let refused = with(server.settings(), json!({ "to": "refused@example.com" }));
    let outcome = harness.start(ALERTS, &refused).send(&named(["a"]));
    check_outcome(&outcome, "misconfigured", "no such user");
    let starttls = with(server.settings(), json!({ "tls": "starttls" }));
    let outcome = harness.start(ALERTS, &starttls).send(&named(["a"]));
    check_outcome(&outcome, "misconfigured", "does not offer STARTTLS");

    server.smtp.kill();
    check_outcome(&exporter.send(&named(["a"])), "retry", "refused");
    server.smtp.restart();
    assert_eq!(exporter.send(&named(["a"])), Ok(()));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
}

#[test]
fn a_server_of_another_protocol_is_named_with_the_remedy() {
    let harness = Harness::of_crate();
    let check = |tls: &str, says: &'static [u8], name: &str, part: &str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(says).unwrap();
        });
        let settings = json!({
            "address": address, "tls": tls, "from": "a@example.com", "to": "b@example.com",
        });
        let outcome = harness.start(ALERTS, &settings).send(&named(["a"]));
        check_outcome(&outcome, name, part);
        server.join().unwrap();
    };
    let foreign = "the answer is not one of a mail server (check the address and the port";
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    check("off", http, "misconfigured", foreign);
    // An alert of TLS.
    let alert = b"\x15\x03\x01\x00\x02\x02\xff\n";
    check("off", alert, "misconfigured", foreign);
    check(
        "off",
        b"",
        "retry",
        "closed the connection without an answer (check",
    );
    check("tls", http, "misconfigured", "TLS");
}
