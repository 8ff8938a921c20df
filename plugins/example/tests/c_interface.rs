//! The conformance suite over the C interface, which a host without `abi_stable` would use.

use std::{fs, os::unix::fs::PermissionsExt};

use delfin_plugin_api::testkit::{build_library, conformance_of};

/// The symbol of the root module, as the dynamic linker looks it up.
const ROOT_MODULE: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

#[test]
fn a_plugin_in_rust_conforms_over_the_c_interface() {
    let mut library = fs::read(build_library()).unwrap();
    // With another name in the table of strings, the linker does not find the root module.
    let names: Vec<usize> = (0..library.len() - ROOT_MODULE.len())
        .filter(|&at| library[at..].starts_with(ROOT_MODULE))
        .collect();
    assert!(!names.is_empty(), "the library has no root module");
    for at in names {
        library[at] = b'x';
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c_only.so");
    fs::write(&path, library).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    conformance_of(&path, |_, _| serde_json::json!({}));
}
