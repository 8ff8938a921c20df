//! What errors of the server become.

use delfin_plugin_api::{
    sample,
    testkit::{Harness, check_outcome},
};
use delfin_tests::{Authority, receivers::free_port};
use serde_json::{Value, json};

use crate::{
    PERFORMANCE,
    support::{Server, deliver},
};

fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

#[test]
fn mistakes_of_the_settings_pause_the_exporter_with_a_remedy() {
    let harness = Harness::of_crate();
    let users = "user default on >secret ~* +@all\n\
                 user other on >secret ~other:* +@all\n";
    let Some(server) = Server::start(users) else {
        return;
    };
    let send = |more: Value| {
        let mut exporter = harness.start(PERFORMANCE, &with(server.settings(), more));
        exporter.send(&sample::performance(1, 1))
    };
    assert_eq!(send(json!({ "password": "secret" })), Ok(()));
    let user = json!({ "username": "default", "password": "secret", "database": 3 });
    assert_eq!(send(user), Ok(()));
    let check = |more: Value, name: &str, part: &str| check_outcome(&send(more), name, part);
    check(json!({}), "unauthorized", "check `username` and `password`");
    check(
        json!({ "password": "hunter2" }),
        "unauthorized",
        "WRONGPASS",
    );
    let other = json!({ "username": "other", "password": "secret" });
    check(other, "misconfigured", "allow the user");
    let database = json!({ "password": "secret", "database": 99 });
    check(database, "misconfigured", "DB index is out of range");
}

#[test]
fn a_key_of_another_kind_and_a_full_memory_are_named() {
    let harness = Harness::of_crate();
    let Some(mut server) = Server::start("") else {
        return;
    };
    let _ = server.call(&["SET", "text", "t"]);
    let other = with(server.settings(), json!({ "stream": "text" }));
    let outcome = harness
        .start(PERFORMANCE, &other)
        .send(&sample::performance(1, 1));
    check_outcome(&outcome, "misconfigured", "another kind of key");
    let mut exporter = harness.start(PERFORMANCE, &server.settings());
    let _ = server.call(&["CONFIG", "SET", "maxmemory", "1"]);
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "retry", "`maxmemory`");
    let _ = server.call(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
    server.redis.kill();
    check_outcome(
        &exporter.send(&sample::performance(1, 1)),
        "retry",
        "refused",
    );
    server.redis.restart();
    // A server that loads its data answers `LOADING`.
    deliver(&mut exporter, &sample::performance(1, 1));
}

#[test]
fn tls_is_verified() {
    let harness = Harness::of_crate();
    let authority = Authority::new(&harness.new_folder());
    let issued = authority.issue("localhost");
    let tls_port = free_port();
    let Some(server) = Server::start(&format!(
        "tls-port {tls_port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}",
        issued.certificate.display(),
        issued.key.display(),
        authority.certificate.display(),
    )) else {
        return;
    };
    let send = |more: Value| {
        let settings = json!({ "address": format!("localhost:{tls_port}"), "stream": "s" });
        let mut exporter = harness.start(PERFORMANCE, &with(settings, more));
        exporter.send(&sample::performance(10, 10))
    };
    let trusted = json!({ "ca_certificate": authority.certificate });
    check_outcome(
        &send(json!({})),
        "misconfigured",
        "an authority that is not trusted",
    );
    // Redis asks for a certificate of the client, unless it is told otherwise.
    check_outcome(&send(trusted.clone()), "misconfigured", "certificate");
    let own = json!({ "client_certificate": issued.certificate, "client_key": issued.key });
    assert_eq!(send(with(trusted, own)), Ok(()));
    assert_eq!(server.count("s"), 1);
}
