//! The example plugin through every step.

use std::fs;

use delfin_plugin_loader::{OpenPlugin, Reason, Sha256, inspect, open};

use crate::lab::{Lab, example, patched};

#[test]
fn a_manifest_is_read_without_opening_the_plugin() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let manifest = &plugin.manifest;
    assert_eq!(manifest.plugin, "delfin-exporter-example");
    assert_eq!(manifest.abi, "1.0.0");
    assert_eq!(manifest.license, "Apache-2.0");
    assert!(manifest.rustc.starts_with("rustc "), "{}", manifest.rustc);
    assert!(manifest.example.contains("debug"), "{}", manifest.example);
    let exporters = manifest.exporters.iter();
    let exporters: Vec<_> = exporters.map(|e| (&*e.name, &*e.kind)).collect();
    let expected = [
        ("PerformanceExporterExample", "performance"),
        ("AlertExporterExample", "alert"),
    ];
    assert_eq!(exporters, expected);
    assert!(
        plugin
            .image
            .needed
            .iter()
            .any(|library| library == "libc.so.6")
    );
    assert_eq!(plugin.image.missing, [""; 0]);
    assert!(plugin.image.glibc.is_some());
    assert_eq!(plugin.trust, Ok(()));
}

#[test]
fn a_plugin_is_opened_as_a_copy_named_by_its_content() {
    let lab = Lab::new();
    let open = lab.open(&lab.copy_of(example())).unwrap();
    let sha256 = open.inspection().sha256.to_string();
    let name = "libdelfin_exporter_example.so";
    assert_eq!(open.copy(), lab.cache().join(sha256).join(name));
    assert!(open.get_extension("no.such/1").is_none());
}

#[test]
fn a_file_that_is_opened_twice_is_the_same_library() {
    let lab = Lab::new();
    let path = lab.copy_of(example());
    let (one, two) = (lab.open(&path).unwrap(), lab.open(&path).unwrap());
    assert_eq!(one.copy(), two.copy());
    assert_eq!(entry(&one), entry(&two));
}

#[test]
fn a_replaced_file_is_opened_as_a_new_library() {
    let lab = Lab::new();
    let path = lab.copy_of(example());
    let old = lab.open(&path).unwrap();
    let content = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let new = patched(&content, "\"plugin\":\"delfin", "\"plugin\":\"DELFIN");
    lab.file("libdelfin_exporter_example.so", &new);
    let new = lab.open(&path).unwrap();
    assert_eq!(new.manifest().plugin, "DELFIN-exporter-example");
    assert_ne!(entry(&old), entry(&new));
}

#[test]
fn only_a_file_with_the_pinned_hash_is_opened() {
    let lab = Lab::new();
    let plugin = inspect(&lab.copy_of(example())).unwrap();
    let mut options = lab.options();
    options.sha256 = Some(plugin.sha256);
    open(&plugin, &options).unwrap();
    let pinned = Sha256::of(b"another");
    options.sha256 = Some(pinned);
    let error = open(&plugin, &options).unwrap_err();
    let found = plugin.sha256;
    assert_eq!(error.reason, Reason::OtherSha256 { found, pinned });
}

#[test]
fn a_file_that_changed_since_its_inspection_is_refused() {
    let lab = Lab::new();
    let path = lab.copy_of(example());
    let plugin = inspect(&path).unwrap();
    let content = fs::read(&path).unwrap();
    lab.file(
        "libdelfin_exporter_example.so",
        &[&content[..], b"!"].concat(),
    );
    let error = open(&plugin, &lab.options()).unwrap_err();
    assert_eq!(error.reason, Reason::Changed);
}

fn entry(plugin: &OpenPlugin) -> usize {
    plugin.module().root_module().unwrap().create_exporter() as usize
}
