use super::*;

const ACME: &str = r#"ACME-MIB DEFINITIONS ::= BEGIN
IMPORTS OBJECT-TYPE, NOTIFICATION-TYPE, enterprises FROM SNMPv2-SMI DisplayString FROM SNMPv2-TC;
acme OBJECT IDENTIFIER ::= { enterprises 99999 }
acmeDisk OBJECT-TYPE
    SYNTAX DisplayString
    MAX-ACCESS accessible-for-notify
    STATUS current
    DESCRIPTION "A disk."
    ::= { acme 1 }
acmeDiskFailed NOTIFICATION-TYPE
    OBJECTS { acmeDisk }
    STATUS current
    DESCRIPTION "A disk failed."
    ::= { acme 0 1 }
END
"#;
const ACME_V1: &str = r#"ACME-V1-MIB DEFINITIONS ::= BEGIN
IMPORTS enterprises FROM RFC1155-SMI TRAP-TYPE FROM RFC-1215;
acmeV1 OBJECT IDENTIFIER ::= { enterprises 99998 }
acmeFanFailed TRAP-TYPE
    ENTERPRISE acmeV1
    DESCRIPTION "A fan failed."
    ::= 7
END
"#;

fn name(found: &MibNames, oid: &str) -> Option<String> {
    found.names.name(&Oid::parse(oid).unwrap())
}

#[test]
fn names_of_both_versions_of_mibs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ACME-MIB"), ACME).unwrap();
    fs::write(folder.path().join("acme-v1.MIB"), ACME_V1).unwrap();
    fs::write(folder.path().join(".index"), "no MIB").unwrap();
    fs::write(folder.path().join("acme.pdf"), "no MIB").unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    let found = MibNames::read(&[folder.path().to_owned()]);
    assert_eq!(found.warnings, [""; 0]);
    let named = [
        ("1.3.6.1.4.1.99999.1.7", "ACME-MIB::acmeDisk.7"),
        ("1.3.6.1.4.1.99999.0.1", "ACME-MIB::acmeDiskFailed"),
        ("1.3.6.1.4.1.99998.0.7", "ACME-V1-MIB::acmeFanFailed"),
    ];
    for (oid, expected) in named {
        assert_eq!(name(&found, oid).as_deref(), Some(expected));
    }
    assert_eq!(name(&found, "1.3.6.1.4.1.77777.1"), None);
}

#[test]
fn a_mistake_names_file_and_line_and_the_other_names_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let broken = ACME.replace("SYNTAX DisplayString", "SYNTAX INTEGER (");
    fs::write(file("ACME-MIB.txt"), broken).unwrap();
    fs::write(file("page.txt"), "<html>not found</html>").unwrap();
    let orphans = ACME_V1.replace("{ enterprises 99998 }", "{ vendor 1 }");
    let orphans = orphans.replace("V1-MIB", "V2-MIB") + "\n";
    fs::write(file("orphans.my"), orphans).unwrap();
    fs::write(file("V1.my"), ACME_V1).unwrap();
    let large = fs::File::create(file("large.mib")).unwrap();
    large.set_len(MAX_FILE_BYTES + 1).unwrap();
    let missing = file("none");
    let found = MibNames::read(&[missing, folder.path().to_owned()]);
    let warnings = found.warnings.join("\n");
    let shown = warnings.replace(&folder.path().display().to_string(), "D");
    insta::assert_snapshot!(shown);
    assert_eq!(
        name(&found, "1.3.6.1.4.1.99999").as_deref(),
        Some("ACME-MIB::acme")
    );
    let fan = name(&found, "1.3.6.1.4.1.99998.0.7");
    assert_eq!(fan.as_deref(), Some("ACME-V1-MIB::acmeFanFailed"));
}

#[test]
fn many_mistakes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..MAX_WARNINGS + 3 {
        fs::write(folder.path().join(format!("{number:02}.mib")), "{").unwrap();
    }
    let found = MibNames::read(&[folder.path().to_owned()]);
    assert_eq!(found.warnings.len(), MAX_WARNINGS + 1);
    assert_eq!(
        found.warnings[MAX_WARNINGS],
        "MIB files have 3 more mistakes"
    );
}

#[test]
fn deep_nesting_does_not_end_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let nestings = [
        ("(", ")"),
        ("{", "}"),
        ("SEQUENCE { a SEQUENCE OF ", "}"),
        ("SEQUENCE { a ", "}"),
        ("CHOICE { a ", ""),
    ];
    for (number, (open, close)) in nestings.into_iter().enumerate() {
        let nested = format!("SYNTAX {}{}", open.repeat(100_000), close.repeat(100_000));
        let text = ACME.replace("SYNTAX DisplayString", &nested);
        let text = text.replace("ACME-MIB", &format!("ACME-{number}-MIB"));
        fs::write(folder.path().join(format!("{number}.mib")), text).unwrap();
    }
    let types: String = (1..20_000)
        .map(|number| format!("T{number} ::= T{}\n", number - 1))
        .collect();
    let types = format!("TYPES-MIB DEFINITIONS ::= BEGIN\n{types}T0 ::= INTEGER\nEND\n");
    fs::write(folder.path().join("types.mib"), types).unwrap();
    let found = MibNames::read(&[folder.path().to_owned()]);
    assert!(name(&found, "1.3.6.1.4.1.99999").is_some());
}
