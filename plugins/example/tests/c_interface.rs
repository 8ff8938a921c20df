//! The conformance suite over the C interface, which a host without `abi_stable` would use.

use delfin_plugin_api::testkit::{build_library, c_interface_only, conformance_of};

#[test]
fn a_plugin_in_rust_conforms_over_the_c_interface() {
    let folder = tempfile::tempdir().unwrap();
    let library = c_interface_only(&build_library(), folder.path());
    conformance_of(&library, |_, _| serde_json::json!({}));
}
