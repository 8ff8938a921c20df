use delfin_plugin_api::PerformanceBatchBuilder;

use super::super::text::SeriesText;

fn check(name: &str, labels: &[(&str, &str)], expected: &str) {
    let mut batch = PerformanceBatchBuilder::new();
    let labels = labels.iter().copied();
    batch.series(name, labels, [(0, 0.0)]).unwrap();
    let batch = batch.build();
    let mut text = SeriesText::default();
    for series in batch.series() {
        text.set(&series);
    }
    let labels: Vec<_> = text.labels().collect();
    let text = format!("{}{{{}}}", text.family(), labels.join(","));
    assert_eq!(text, expected);
}

#[test]
fn delfins_labels_have_delfins_names_and_order() {
    check(
        "readIops",
        &[
            ("unit", "IOPS"),
            ("storage_id", "s"),
            ("resource_type", "volume"),
            ("resource_id", "volume_0"),
            ("name", "fake_driver"),
            ("serial_number", "sn"),
            ("type", "AGGREGATED"),
            ("value_type", "gauge"),
        ],
        "volume_readIops{storage_id=\"s\",storage_name=\"fake_driver\",storage_sn=\"sn\",\
         resource_type=\"volume\",resource_id=\"volume_0\",type=\"AGGREGATED\",unit=\"IOPS\",\
         value_type=\"gauge\"}",
    );
}

#[test]
fn what_is_missing_is_left_out_or_delfins_default() {
    let defaults = "type=\"RAW\",value_type=\"gauge\"";
    check("iops", &[], &format!("iops{{{defaults}}}"));
    check(
        "iops",
        &[("unit", ""), ("rack", "")],
        &format!("iops{{{defaults}}}"),
    );
}

#[test]
fn further_labels_are_kept_in_order_and_none_comes_twice() {
    let defaults = "type=\"RAW\",value_type=\"gauge\"";
    check(
        "iops",
        &[
            ("zone", "1"),
            ("a-b", "x"),
            ("a.b", "y"),
            ("storage_name", "clash"),
            ("__name__", "evil"),
            ("7th", "digit"),
            ("größe", "utf"),
        ],
        &format!(
            "iops{{{defaults},_7th=\"digit\",_name__=\"evil\",a_b=\"x;y\",\
             exported_storage_name=\"clash\",gr__e=\"utf\",zone=\"1\"}}"
        ),
    );
}

#[test]
fn values_are_escaped_and_names_made_valid() {
    let defaults = "type=\"RAW\",value_type=\"gauge\"";
    check(
        "read iops/s",
        &[("resource_type", "9 disks"), ("x", "a\"b\\c\nd\0e\tf 数")],
        &format!(
            "_9_disks_read_iops_s{{resource_type=\"9 disks\",{defaults},\
             x=\"a\\\"b\\\\c\\nd\u{fffd}e\tf 数\"}}"
        ),
    );
    check("", &[], &format!("_{{{defaults}}}"));
    check("", &[("", "v")], &format!("_{{{defaults},_=\"v\"}}"));
}
