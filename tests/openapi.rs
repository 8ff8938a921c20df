//! The API as `/openapi.json` describes it: Schemathesis makes requests of the description, valid and invalid ones, and
//! compares the answers with it. `tests/openapi/schemathesis.toml` says which rules the description cannot state.

use std::{path::Path, process::Command};

use delfin_tests::{FILES, INPUTS, Setup, missing, soak};

const ROOT: &str = r#"plugin_dirs = ["@/plugins"]
state_dir = "@/state"
"#;

const TABLES: &str = r#"
[inputs.webhook]
enabled = true
[api]
listen = "127.0.0.1:0"
[journal]
min_free_bytes = 0
[[storage]]
vendor = "fake_storage"
model = "fake_driver"
name = "array"
id = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10"
[storage.alerts]
interval = "1h"
[storage.performance]
interval = "1h"
"#;

#[test]
fn answers_are_as_the_openapi_document_describes_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("../target/schemathesis/bin/schemathesis");
    if !program.is_file() {
        return missing("Schemathesis", "run `scripts/schemathesis setup`");
    }
    let setup =
        Setup::new(&["file"], "").with_whole_config(&[ROOT, FILES, INPUTS, TABLES].concat());
    let added = setup.run(&["tokens", "add", "test", "--scope", "admin"]);
    let token = added.expect_exit(0).stdout;
    let host = setup.start();
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(root.join("openapi/schemathesis.toml"))
        .args(["--no-color", "run"])
        .arg(format!("{}/openapi.json", host.url()))
        // `make test` takes a minute or two, `make soak` ten.
        .args(["--max-examples", &soak(5).to_string()])
        .env("DELFIN_TEST_TOKEN", token.trim_end())
        .current_dir(setup.path("."));
    // It takes longer than a command of the host may.
    let found = command.output().expect("Schemathesis runs");
    let text = String::from_utf8_lossy(&found.stdout);
    let errors = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{text}\n{errors}");
    assert!(!host.log().contains("panicked"), "{}", host.log());
}
