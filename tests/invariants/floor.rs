//! The Rust version that the kit states is not below that of a library it needs.

use std::{collections::BTreeMap, process::Command};

use delfin_tests::CommandOutput;
use serde_json::Value;

use crate::sources::root;

const KIT: &str = "delfin-plugin-api";

fn cargo(args: &[&str]) -> CommandOutput {
    let mut cargo = Command::new(env!("CARGO"));
    CommandOutput::run(cargo.args(args).current_dir(root())).expect_exit(0)
}

/// `1.89` and `1.89.0` as numbers; none if a package states nothing.
fn version(package: &Value) -> Vec<u32> {
    let text = package["rust_version"].as_str().unwrap_or_default();
    let mut parts: Vec<u32> = text
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn the_rust_version_of_the_kit_is_enough_for_its_libraries() {
    let metadata = cargo(&[
        "metadata",
        "--locked",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let packages = metadata.json()["packages"].as_array().cloned();
    let packages = packages.unwrap_or_default().into_iter().map(|package| {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        ((text("name"), text("version")), package)
    });
    let packages: BTreeMap<_, _> = packages.collect();
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        KIT,
        "--all-features",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    let mut libraries = tree.stdout.lines().map(|line| {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_default().to_owned();
        (next(), next().trim_start_matches('v').to_owned())
    });
    let kit = libraries.next().expect("the kit");
    assert_eq!(kit.0, KIT);
    let floor = version(&packages[&kit]);
    assert!(floor >= vec![1, 60, 0], "{floor:?}");
    let mut compared = 0;
    for library in libraries {
        let wanted = packages.get(&library).map(version).unwrap_or_default();
        let ours = library.0.starts_with("delfin-");
        assert!(
            ours || wanted <= floor,
            "{} {} needs Rust {wanted:?}, and the kit states {floor:?} (raise `rust-version` in \
             `plugin-api/Cargo.toml` and in the guide)",
            library.0,
            library.1
        );
        compared += usize::from(wanted > vec![1]);
    }
    assert!(compared > 30, "{compared}");
}
