use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

use super::*;

fn encoder(max_message_bytes: usize) -> MessageEncoder {
    MessageEncoder::new(16, 32_473, max_message_bytes)
}

fn encode(occur_time: i64, texts: &[(&str, &str)], max_message_bytes: usize) -> (String, bool) {
    let mut batch = AlertBatchBuilder::new();
    batch.alert(NewAlert { occur_time, texts });
    let batch = batch.build();
    let alert = batch.alerts().next().unwrap();
    let message = encoder(max_message_bytes).encode(&alert);
    (
        String::from_utf8(message.bytes).unwrap(),
        message.is_shortened,
    )
}

fn message(texts: &[(&str, &str)]) -> String {
    encode(0, texts, 8192).0
}

#[test]
fn an_alert_is_a_message_with_structured_data() {
    let texts = [
        ("storage_id", "s-1"),
        ("storage_name", "array 1"),
        ("vendor", "v"),
        ("model", "m"),
        ("serial_number", "sn"),
        ("alert_id", "0x1E"),
        ("alert_name", "Link state down"),
        ("sequence_number", "17"),
        ("category", "Fault"),
        ("severity", "Major"),
        ("type", "CommunicationsAlarm"),
        ("resource_type", "Storage"),
        ("location", "port=\"3\""),
        ("description", "Backend link has gone down"),
        ("recovery_advice", "Check the cable."),
        ("match_key", "k"),
        ("rack", "7"),
    ];
    let occurred = 1_775_988_000_250;
    assert_eq!(
        encode(occurred, &texts, 8192).0,
        "<130>1 2026-04-12T10:00:00.250Z array_1 delfin-host - 0x1E \
         [alarm resource=\"port=\\\"3\\\"\" probableCause=\"other\" perceivedSeverity=\"major\" \
         eventType=\"communicationsAlarm\"]\
         [delfin@32473 storage_id=\"s-1\" storage_name=\"array 1\" vendor=\"v\" model=\"m\" \
         serial_number=\"sn\" alert_id=\"0x1E\" alert_name=\"Link state down\" sequence_number=\"17\" \
         category=\"Fault\" severity=\"Major\" type=\"CommunicationsAlarm\" \
         resource_type=\"Storage\" location=\"port=\\\"3\\\"\" recovery_advice=\"Check the cable.\" \
         match_key=\"k\"]\
         [extra@32473 rack=\"7\"] Link state down: Backend link has gone down"
    );
}

#[test]
fn an_alert_without_texts_is_a_message_of_nil_values() {
    let expected = "<133>1 - - delfin-host - - \
                    [alarm resource=\"unknown\" probableCause=\"other\" perceivedSeverity=\"indeterminate\"]";
    for time in [0, -1, i64::MIN, i64::MAX] {
        assert_eq!(encode(time, &[], 8192).0, expected);
    }
    assert_eq!(
        message(&[("alert_name", ""), ("vendor", ""), ("rack", "")]),
        expected
    );
}

#[test]
fn severities_are_those_of_rfc_5674() {
    let check = |severity: &str, category: &str, code: u8, perceived: &str| {
        let text = message(&[("severity", severity), ("category", category)]);
        let priority = format!("<{}>1 ", 16 * 8 + code);
        assert!(text.starts_with(&priority), "{severity}: {text}");
        assert!(
            text.contains(&format!("perceivedSeverity=\"{perceived}\"")),
            "{text}"
        );
    };
    check("Fatal", "Fault", 1, "critical");
    check("Critical", "Fault", 1, "critical");
    check("Major", "Event", 2, "major");
    check("minor", "Fault", 3, "minor");
    check("Warning", "Fault", 4, "warning");
    check("Informational", "Event", 6, "indeterminate");
    for unclear in ["NotSpecified", "", "ERROR"] {
        check(unclear, "Fault", 5, "indeterminate");
    }
    check("Fatal", "Recovery", 5, "cleared");
}

#[test]
fn a_type_of_another_list_is_other() {
    let event_type = |kind: &str| {
        let text = message(&[("type", kind)]);
        text.split("eventType=\"")
            .nth(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
    };
    assert_eq!(
        event_type("QualityOfServiceAlarm").as_deref(),
        Some("qualityOfServiceAlarm")
    );
    assert_eq!(event_type("TRIAL_LICENSE_USED").as_deref(), Some("other"));
    assert_eq!(event_type("NotSpecified"), None);
}

#[test]
fn awkward_texts_and_names_make_a_valid_message() {
    let long_name = "n".repeat(40);
    let text = message(&[
        ("storage_name", "grüße\n数据"),
        ("alert_id", "a very long identifier of an alert"),
        ("description", "line\nbreak\r\0 \u{85} tab\t\"]\\"),
        ("a=b c]\"d", "x"),
        ("", "empty"),
        (&long_name, "long"),
        ("quotes", "\"\\]\n🦀"),
    ]);
    assert!(
        text.starts_with("<133>1 - gr__e___ delfin-host - a_very_long_identifier_of_an_ale ["),
        "{text}"
    );
    let extras = format!(
        "[extra@32473 a_b_c__d=\"x\" _=\"empty\" {}=\"long\" quotes=\"\\\"\\\\\\]#012🦀\"] ",
        "n".repeat(32)
    );
    assert!(text.contains(&extras), "{text}");
    assert!(
        text.ends_with(
            "a very long identifier of an alert: line#012break#015#000 #205 tab#011\"]\\"
        ),
        "{text}"
    );
    assert!(message(&[("description", "grüße")]).ends_with("] \u{feff}grüße"));
}

#[test]
fn a_message_that_is_too_long_is_shortened_to_the_limit() {
    let long = "🦀".repeat(10_000);
    let (text, shortened) = encode(0, &[("description", &long), ("rack", "7")], 8192);
    assert!(shortened && text.len() <= 8192, "{}", text.len());
    assert!(
        text.ends_with("🦀…") && text.contains("rack=\"7\""),
        "{text}"
    );
    assert_eq!(text.matches('🦀').count(), 1023);
    let (whole, shortened) = encode(0, &[("description", &"x".repeat(10_000))], 65_507);
    assert!(!shortened && whole.ends_with(&"x".repeat(10_000)));
}

#[test]
fn the_largest_alert_fits_into_the_smallest_limit() {
    for awkward in ["\u{1}", "]", "🦀", "\u{85}"] {
        let long = awkward.repeat(70_000);
        let mut texts: Vec<_> = delfin_plugin_api::TEXT_COLUMNS
            .map(|name| (name, long.as_str()))
            .into();
        let names: Vec<_> = (0..100)
            .map(|number| format!("{number}{}", "x".repeat(50)))
            .collect();
        texts.extend(names.iter().map(|name| (name.as_str(), long.as_str())));
        let (text, shortened) = encode(1, &texts, 2048);
        assert!(shortened && text.len() <= 2048, "{}", text.len());
        assert!(
            text.contains("[delfin@32473 ") && !text.contains("[extra@"),
            "{text}"
        );
    }
}
