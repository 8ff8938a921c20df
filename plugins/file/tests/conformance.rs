//! The conformance suite, on the built library.

#[test]
fn conforms() {
    delfin_plugin_api::testkit::conformance(
        |_, folder| serde_json::json!({ "path": folder.join("out.jsonl") }),
    );
}
