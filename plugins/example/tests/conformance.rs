//! The conformance suite, on the built library.

#[test]
fn conforms() {
    delfin_plugin_api::testkit::conformance(|_, _| serde_json::json!({}));
}
