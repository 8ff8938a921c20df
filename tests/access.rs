//! Who may use the API, with the real binary.

use delfin_tests::{CommandOutput, Host, Setup};

const CONFIG: &str = r#"
performance_exporters = []
"#;

fn setup() -> Setup {
    Setup::new(&[], CONFIG)
}

/// Adds a token: its text.
fn token(setup: &Setup, name: &str, scope: &str) -> String {
    let added = setup.run(&["tokens", "add", name, "--scope", scope]);
    added.expect_exit(0).stdout.trim_end().to_owned()
}

/// A command that talks to this host over the network, with this token.
fn call(setup: &Setup, host: &Host, token: &str, args: &[&str]) -> CommandOutput {
    let mut command = setup.command(args);
    command
        .args(["--host", host.url()])
        .env("DELFIN_TOKEN", token);
    CommandOutput::run(&mut command)
}

#[test]
fn a_token_of_a_command_works_with_the_running_host_until_it_is_revoked() {
    let setup = setup();
    let before = token(&setup, "before", "read");
    let host = setup.start();
    let admin = token(&setup, "ops", "read,admin");

    let refused = call(&setup, &host, "", &["exporters"]).expect_exit(1);
    assert!(
        refused
            .stderr
            .contains("Give the token with `--token-file`"),
        "{refused:?}"
    );
    let _ = call(&setup, &host, &before, &["exporters"]).expect_exit(0);
    let refused = call(&setup, &host, &before, &["reload"]).expect_exit(1);
    assert!(
        refused.stderr.contains("does not have the scope `admin`"),
        "{refused:?}"
    );
    let _ = call(&setup, &host, &admin, &["reload"]).expect_exit(0);

    let shown = setup.run(&["tokens", "list", "--json"]).expect_exit(0);
    assert_eq!(shown.json()["tokens"][1]["name"], "ops");
    assert_eq!(shown.json()["tokens"][1]["scopes"][1], "admin");
    let _ = setup.run(&["tokens", "revoke", "ops"]).expect_exit(0);
    let refused = call(&setup, &host, &admin, &["reload"]).expect_exit(1);
    assert!(
        refused.stderr.contains("unknown, or was revoked"),
        "{refused:?}"
    );

    let twice = setup.run(&["tokens", "add", "before", "--scope", "read"]);
    let twice = twice.expect_exit(1);
    assert!(
        twice.stderr.contains("`before` exists already"),
        "{twice:?}"
    );
    let _ = setup
        .run(&["tokens", "add", "a b", "--scope", "read"])
        .expect_exit(2);
    let _ = setup.run(&["tokens", "revoke", "ops"]).expect_exit(1);

    let (status, log) = host.stop();
    assert!(status.success());
    for secret in [&before, &admin] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
}

#[test]
fn an_address_for_other_machines_needs_a_token_or_the_consent_of_the_operator() {
    let text = "plugin_dirs = []\nstate_dir = \"@/state\"\n[api]\nlisten = \"0.0.0.0:0\"\n[journal]\nmin_free_bytes = 0\n";
    let setup = setup().with_whole_config(text);
    for command in ["run", "check"] {
        let refused = setup.run(&[command]).expect_exit(3);
        assert!(refused.stderr.contains("no token exists"), "{refused:?}");
    }
    let token = token(&setup, "first", "admin");
    let host = setup.start();
    assert_eq!(host.get("/v1/exporters").0, 401);
    assert_eq!(host.get("/healthz").0, 200);
    let _ = call(&setup, &host, &token, &["exporters"]).expect_exit(0);
    drop(host);

    setup.write("state/tokens.json", "{");
    let refused = setup.run(&["run"]).expect_exit(1);
    assert!(
        refused.stderr.contains("tokens.json` is damaged"),
        "{refused:?}"
    );
}
