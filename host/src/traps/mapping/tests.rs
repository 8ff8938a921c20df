use std::fs;

use async_snmp::{Value, VarBind};

use super::*;
use crate::notification::NotificationAlert;

fn notification(trap: &str, variables: &[(&str, Value)]) -> Notification {
    let variable =
        |(oid, value): &(&str, Value)| VarBind::new(Oid::parse(oid).unwrap(), value.clone());
    Notification {
        is_inform: false,
        trap: Oid::parse(trap).unwrap(),
        uptime: Some(1),
        variables: variables.iter().map(variable).collect(),
    }
}

fn loaded(text: &str) -> Result<TrapMappings, MappingError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.toml"), text).unwrap();
    TrapMappings::load(folder.path(), &[]).map_err(|error| MappingError {
        file: error
            .file
            .replace(&folder.path().display().to_string(), "D"),
        ..error
    })
}

fn applied(mappings: &TrapMappings, notification: &Notification) -> NotificationAlert {
    let rule = mappings.find(notification).unwrap();
    NotificationAlert::mapped(rule, notification, 0)
}

fn text<'a>(alert: &'a NotificationAlert, column: &str) -> Option<&'a str> {
    let mut texts = alert.texts.iter();
    texts.find_map(|(key, text)| (key == column).then_some(&**text))
}

#[test]
fn the_built_in_mappings_have_no_mistake_and_know_the_standard_traps() {
    let mappings = TrapMappings::load(Path::new("/nonexistent"), &[]).unwrap();
    assert_eq!(mappings.files(), BUILT_IN.len());
    let index = ("1.3.6.1.2.1.2.2.1.1.7", Value::Integer(7));
    let [down, up] = ["1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4"].map(|trap| {
        let notification = notification(trap, std::slice::from_ref(&index));
        applied(&mappings, &notification)
    });
    assert_eq!(text(&down, "category"), Some("Fault"));
    assert_eq!(text(&up, "category"), Some("Recovery"));
    assert_eq!(text(&down, "match_key"), Some("link/7"));
    assert_eq!(text(&down, "match_key"), text(&up, "match_key"));
    let cold = notification("1.3.6.1.6.3.1.1.5.1", &[]);
    let cold = applied(&mappings, &cold);
    assert_eq!(text(&cold, "category"), Some("Event"));
}

#[test]
fn a_vendors_trap_gets_severity_and_recovery_from_its_variables() {
    let mappings = TrapMappings::load(Path::new("/nonexistent"), &[]).unwrap();
    let trap = |state: &str| {
        notification(
            "1.3.6.1.4.1.12925.1.6.0.1",
            &[
                ("1.3.6.1.4.1.12925.1.7.1.2.1", Value::Integer(1)),
                ("1.3.6.1.4.1.12925.1.7.1.6.1", Value::from("Disk failed")),
                ("1.3.6.1.4.1.12925.1.7.1.7.1", Value::Integer(42)),
                ("1.3.6.1.4.1.12925.1.7.1.9.1", Value::from(state)),
            ],
        )
    };
    let rule = mappings.find(&trap("1")).unwrap();
    let (failed, fixed) =
        (["1", "5"].map(|state| NotificationAlert::mapped(rule, &trap(state), 0))).into();
    assert_eq!(text(&failed, "alert_name"), Some("Disk failed"));
    assert_eq!(text(&failed, "severity"), Some("Critical"));
    assert_eq!(text(&failed, "category"), None);
    assert_eq!(text(&fixed, "category"), Some("Recovery"));
    assert_eq!(text(&fixed, "match_key"), Some("42"));
    let snmpv2 = mappings
        .names()
        .name(&Oid::parse("1.3.6.1.2.1.2.2.1.1.7").unwrap());
    assert_eq!(snmpv2.as_deref(), Some("ifIndex.7"));
}

#[test]
fn a_file_of_the_folder_comes_first_and_can_replace_a_built_in_one() {
    let own = r#"
        [names]
        state = "1.3.6.1.4.1.99999.1"
        when = "1.3.6.1.4.1.99999.2"
        [tables.severity]
        down = "Critical"
        "*" = "Minor"
        [[trap]]
        oid = "1.3.6.1.6.3.1.1.5.3"
        when = { state = ["down", "lost"] }
        alert_name = "Uplink of ${index:state} is ${state}"
        severity = { of = "state", table = "severity" }
        occur_time = "when"
    "#;
    let mappings = loaded(own).unwrap();
    let trap = |state: &str| {
        let variables = [
            ("1.3.6.1.4.1.99999.1.3.4", Value::from(state)),
            ("1.3.6.1.4.1.99999.2.0", Value::Gauge32(1_700_000_000)),
        ];
        notification("1.3.6.1.6.3.1.1.5.3", &variables)
    };
    let rule = mappings.find(&trap("lost")).unwrap();
    let alert = NotificationAlert::mapped(rule, &trap("lost"), 0);
    assert_eq!(text(&alert, "alert_name"), Some("Uplink of 3.4 is lost"));
    assert_eq!(text(&alert, "severity"), Some("Minor"));
    assert_eq!(alert.occur_time_ms, 1_700_000_000_000);
    assert_eq!(
        rule.origin,
        "D/acme.toml, trap 1".replace('D', rule.origin.split("/acme").next().unwrap())
    );
    // Its condition fails, so that the built-in rule is next.
    let other = mappings.find(&trap("up")).unwrap();
    assert!(
        other.origin.starts_with("built-in standard.toml"),
        "{}",
        other.origin
    );
    assert_eq!(
        rule.mismatch(&trap("up")).as_deref(),
        Some("`state` is `up`")
    );
}

#[test]
fn a_mistake_names_the_file_the_key_and_the_remedy() {
    let check = |text: &str, wanted: &str| {
        let error = loaded(text).unwrap_err().to_string();
        assert!(
            error.starts_with("trap mappings `D/acme.toml`: "),
            "{error}"
        );
        assert!(error.contains(wanted), "{error}");
    };
    check("[[trap]]\noid = 1", "line 2: ");
    check(
        "[[trap]]\nalert_name = 'a'",
        "`trap[1].oid`: is missing (write",
    );
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = 'a'\nserverity = 'Major'",
        "line 4: unknown field `serverity`",
    );
    check(
        "[[trap]]\noid = 'acmeTrap'\nalert_name = 'a'",
        "`trap[1].oid`: `acmeTrap` is neither an object identifier nor in `[names]` (add it there)",
    );
    check(
        "[names]\na = 'b'",
        "`names.a`: `b` is not an object identifier",
    );
    for wrong in [
        "ACME-MIB::",
        "::x",
        "::",
        "A::b::c",
        "A::b.",
        "A::b.x",
        "A B::c",
    ] {
        let reason = format!("`{wrong}` is not a name of a MIB (write it as `IF-MIB::ifIndex`");
        check(
            &format!("[names]\na = '{wrong}'"),
            &format!("`names.a`: {reason}"),
        );
        check(
            &format!("[[trap]]\noid = '{wrong}'\nalert_name = 'a'"),
            &format!("`trap[1].oid`: {reason}"),
        );
        check(
            &format!("[[trap]]\noid = '1.3.6'\nalert_name = '${{index:{wrong}}}'"),
            &format!("`trap[1].alert_name`: {reason}"),
        );
        check(
            &format!("[[trap]]\noid = '1.3.6'\nalert_name = 'a'\nwhen = {{ '{wrong}' = '1' }}"),
            &format!("`trap[1].when.{wrong}`: {reason}"),
        );
    }
    for (name, shown) in [("trap", "trap"), ("'A::b'", "A::b"), ("''", "")] {
        check(
            &format!("[names]\n{name} = '1.3.6'"),
            &format!("`names.{shown}`: cannot be used as a name"),
        );
    }
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = 'a'\nseverity = 'Bad'",
        "`trap[1].severity`: `Bad` is not a severity (write `Fatal`, ",
    );
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = '${a'",
        "`trap[1].alert_name`: `${a` has `${` without `}` (add it)",
    );
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = '${a}'",
        "`trap[1].alert_name`: `a` is neither",
    );
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = 'a'\nwhen = { b = 'c' }",
        "`trap[1].when.b`: `b` is neither",
    );
    check(
        "[[trap]]\noid = '1.3.6'\nalert_name = 'a'\nseverity = { of = '1.3.6.1', table = 't' }",
        "`trap[1].severity`: `t` is not a table (add `[tables.t]`)",
    );
}

#[test]
fn a_name_of_the_file_can_mean_a_name_of_a_mib() {
    let folder = tempfile::tempdir().unwrap();
    let mib = "ACME-MIB DEFINITIONS ::= BEGIN
        IMPORTS enterprises FROM SNMPv2-SMI;
        acmeDisk OBJECT IDENTIFIER ::= { enterprises 99999 1 }
        END";
    fs::write(folder.path().join("ACME-MIB"), mib).unwrap();
    let rules = "[names]
        disk = 'ACME-MIB::acmeDisk'
        slot = 'ACME-MIB::acmeDisk.7'
        fan = 'ACME-MIB::acmeFan'
        [[trap]]
        oid = 'disk'
        alert_name = 'Disk ${slot}${fan}'
        [[trap]]
        oid = 'fan'
        alert_name = 'a'";
    fs::write(folder.path().join("acme.toml"), rules).unwrap();
    let folders = [folder.path().to_owned()];
    let mappings = TrapMappings::load(folder.path(), &folders).unwrap();
    let trap = notification(
        "1.3.6.1.4.1.99999.1",
        &[("1.3.6.1.4.1.99999.1.7", Value::from("a"))],
    );
    let alert = applied(&mappings, &trap);
    assert_eq!(text(&alert, "alert_name"), Some("Disk a"));
    let [warning] = mappings.warnings() else {
        panic!("{:?}", mappings.warnings())
    };
    assert!(warning.contains("`ACME-MIB::acmeFan` is in no MIB file"));
}
