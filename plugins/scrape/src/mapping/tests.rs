//! What mappings make of pages: shipped ones, and mistakes in mappings.

use super::*;

fn mistake(text: &str) -> String {
    ScrapeMapping::parse(text).unwrap_err()
}

#[test]
fn every_shipped_mapping_is_valid() {
    for (name, _) in SHIPPED {
        let mapping = ScrapeMapping::load(name).unwrap_or_else(|error| panic!("{error}"));
        assert!(!mapping.targets.is_empty(), "{name}");
    }
}

#[test]
fn a_mistake_in_a_mapping_is_named_with_its_place() {
    let volume = "[[resource]]\ntype = \"volume\"\nid = \"${v}\"\n";
    for (text, reason) in [
        ("resource = 5", "line 1: "),
        (
            "[[resource]]\ntype = \"lun\"",
            "`[[resource]]` 1 (`lun`): `type` is not known",
        ),
        ("[[resource]]\ntype = \"volume\"", "`id` is missing"),
        (
            "[[resource]]\ntype = \"storage\"\nid = \"x\"",
            "the storage has no `id`",
        ),
        (
            "[[resource]]\ntype = \"volume\"\nid = \"${v\"",
            "without `}`",
        ),
        (
            "[resource.series]\nx = { metric = \"m\" }",
            "series `x`: is not in Delfin's model (set its `unit`)",
        ),
        (
            "[resource.series]\niops = { metric = \"m\", unit = \"x\" }",
            "series `iops`: has the unit `IOPS`",
        ),
        (
            "[resource.series]\nusedCapacity = { metric = \"m\" }",
            "set `used_capacity` in `[resource.fields]`",
        ),
        (
            "[resource.series]\niops = { metric = \"m\", rate = true, per = \"n\" }",
            "`rate` and `per` are both set",
        ),
        (
            "[resource.series]\niops = { metric = \"m\", label = \"l\" }",
            "a number has no `label`",
        ),
        (
            "[resource.series]\niops = { metric = [] }",
            "`metric` names no metric",
        ),
        (
            "[resource.series]\niops = { metric = \"m\", rat = true }",
            "rat",
        ),
        (
            "[resource.fields]\nsize = { metric = \"m\" }",
            "field `size`: is not known (fields are",
        ),
        ("[resource.fields]\ntotal_capacity = \"5\"", "is a number"),
        (
            "[resource.fields]\nstatus = { metric = \"m\", table = \"t\" }",
            "the file has no `[tables.t]`",
        ),
        (
            "[resource.fields]\nstatus = { metric = \"m\", factor = 2 }",
            "a text has no `rate`, `per` or `factor`",
        ),
        ("[[alert]]\nmetric = \"m\"", "missing field `alert_name`"),
        (
            "[[alert]]\nmetric = \"m\"\nalert_name = \"n\"\ncolour = \"red\"",
            "unknown field `colour`",
        ),
    ] {
        let whole = match text.starts_with("[[resource") || text.starts_with("resource") {
            true => text.to_owned(),
            false => format!("{volume}{text}"),
        };
        let found = mistake(&whole);
        assert!(found.contains(reason), "{whole}\n{found}");
    }
}

#[test]
fn a_mapping_that_does_not_exist_is_named_with_the_known_ones() {
    let error = |name: &str| ScrapeMapping::load(name).unwrap_err().to_string();
    let unknown = error("node-exporter");
    assert!(unknown.contains("`node_exporter`"), "{unknown}");
    assert!(error("relative.toml").contains("absolute path"));
    assert!(error("/dev/null/x.toml").starts_with("cannot read the mapping file"));
    assert!(error("/dev/zero.toml").starts_with("cannot read the mapping file"));
}
