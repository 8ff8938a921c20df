use std::{fs, os::unix::fs::PermissionsExt};

use super::{view::RefusedFileView, *};

const MANIFEST: &str = r#"{
    "abi": "1.0.0",
    "api": "0.1.0",
    "rustc": "rustc 1.95.0",
    "target": "x86_64-unknown-linux-gnu",
    "panic": "unwind",
    "plugin": "delfin-exporter-acme",
    "version": "1.2.0",
    "vendor": "Acme",
    "license": "Apache-2.0",
    "exporters": [
        {"name": "PerformanceExporterAcme", "kind": "performance", "description": "Sends series", "exclusive": false},
        {"name": "AlertExporterAcme", "kind": "alert", "description": "Sends alerts", "exclusive": true, "resend_seconds": 60},
        {"name": "TopologyExporterAcme", "kind": "topology", "description": "Sends maps", "exclusive": true}
    ],
    "example": "[exporter.PerformanceExporterAcme.config]\nurl = \"http://acme\"\n"
}"#;

fn plugin() -> PluginFileView {
    PluginFileView {
        file: "plugins/libacme.so".into(),
        size: 1_234_567,
        sha256: "ab".repeat(32),
        manifest: serde_json::from_str(MANIFEST).unwrap(),
        image: delfin_plugin_loader::Image {
            architecture: "x86_64".to_owned(),
            format: "elf".to_owned(),
            glibc: Some("2.34".parse().unwrap()),
            needed: vec!["libc.so.6".to_owned(), "libacme.so.2".to_owned()],
            missing: vec!["libacme.so.2".to_owned()],
            ..Default::default()
        },
    }
}

fn listing() -> PluginListing {
    PluginListing {
        plugins: vec![plugin()],
        duplicates: vec!["exporter `A` is offered by `a.so` 2.0.0 and by `b.so` 1.0.0".to_owned()],
        unknown_keys: Vec::new(),
        refused: vec![RefusedFileView {
            file: "plugins/notes.so".into(),
            reason: "plugin `plugins/notes.so` is empty (copy it again)".to_owned(),
        }],
    }
}

#[test]
fn the_list_shows_accepted_files_then_refused_files_then_a_summary() {
    let listing = listing();
    let table = listing.exporters().unwrap().render(false);
    let (remarks, summary) = (listing.remarks(), listing.summary());
    insta::assert_snapshot!(format!("{table}\n{remarks}{summary}"));
}

#[test]
fn the_list_as_json_has_the_same_content() {
    insta::assert_json_snapshot!(listing());
}

#[test]
fn a_plugin_is_shown_with_its_manifest_and_requirements() {
    let plugin = plugin();
    let table = plugin.exporters().unwrap().render(false);
    insta::assert_snapshot!(format!("{}{table}", plugin.facts()));
}

#[test]
fn a_file_that_is_not_a_plugin_is_listed_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, bytes) in [("a.so", &b""[..]), ("b.so", b"no library"), ("c.txt", b"")] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let absent = folder.path().join("absent");
    let folders = [folder.path().to_owned(), absent];
    let listing = PluginListing::of(&folders, &FileHashes::default());
    let reasons: Vec<_> = listing.refused.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for part in [
        "a.so` is empty",
        "b.so` is not a shared library",
        "absent` does not exist",
    ] {
        assert!(
            reasons.iter().any(|reason| reason.contains(part)),
            "{reasons:?}"
        );
    }
    assert_eq!(listing.summary(), "0 exporters in 0 plugins, 3 refused");
}
