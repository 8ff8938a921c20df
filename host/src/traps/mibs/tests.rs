use std::fs;

use async_snmp::Oid;

use super::{
    files::{MAX_FILE_BYTES, MAX_NAMES, MAX_WORDS},
    warnings::MAX_WARNINGS,
    *,
};

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

/// Reads files with these names and texts.
fn read(files: &[(&str, &str)]) -> MibNames {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let mut found = MibNames::read(&[folder.path().to_owned()]);
    let path = folder.path().display().to_string();
    for warning in &mut found.warnings {
        *warning = warning.replace(&path, "D");
    }
    found
}

/// A module with these lines.
fn module(name: &str, lines: &str) -> String {
    format!("{name} DEFINITIONS ::= BEGIN\nIMPORTS enterprises FROM SNMPv2-SMI;\n{lines}\nEND\n")
}

fn name(found: &MibNames, oid: &str) -> Option<String> {
    found.names.name(&Oid::parse(oid).unwrap())
}

fn oid(found: &MibNames, name: &str) -> Option<String> {
    found.names.oid(name).map(ToString::to_string)
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
    assert_eq!(
        oid(&found, "SNMPv2-SMI::enterprises").as_deref(),
        Some("1.3.6.1.4.1")
    );
}

#[test]
fn every_way_to_write_an_object_identifier_is_understood() {
    let lines =
        "a OBJECT IDENTIFIER ::= { iso org(3) dod(6) internet(1) private(4) enterprises(1) 7 }
        b OBJECT IDENTIFIER ::= { iso(1) 3 }
        c OBJECT IDENTIFIER ::= { 1 3 6 }
        d OBJECT IDENTIFIER ::= { enterprises inner(8) 9 }
        e OBJECT IDENTIFIER ::= { inner 1 }
        f OBJECT IDENTIFIER ::= { SNMPv2-SMI.enterprises 10 }
        g OBJECT IDENTIFIER ::= { later 1 }
        later OBJECT IDENTIFIER ::= { enterprises 11 }";
    let found = read(&[("a.mib", &module("WAYS-MIB", lines))]);
    assert_eq!(found.warnings, [""; 0]);
    for (object, expected) in [
        ("a", "1.3.6.1.4.1.7"),
        ("b", "1.3"),
        ("c", "1.3.6"),
        ("d", "1.3.6.1.4.1.8.9"),
        ("inner", "1.3.6.1.4.1.8"),
        ("e", "1.3.6.1.4.1.8.1"),
        ("f", "1.3.6.1.4.1.10"),
        ("g", "1.3.6.1.4.1.11.1"),
    ] {
        let found = oid(&found, &format!("WAYS-MIB::{object}"));
        assert_eq!(found.as_deref(), Some(expected), "{object}");
    }
}

#[test]
fn names_are_imported_also_through_another_module_and_generic_traps_are_known() {
    let imports = |from: &str, lines: &str| {
        module("X", lines).replace(
            "IMPORTS enterprises FROM SNMPv2-SMI",
            &format!("IMPORTS acme FROM {from}"),
        )
    };
    let first = module("A-MIB", "acme OBJECT IDENTIFIER ::= { enterprises 5 }");
    let second = imports("A-MIB", "").replace("X DEF", "B-MIB DEF");
    let third = imports("B-MIB", "disk OBJECT IDENTIFIER ::= { acme 1 }");
    let third = third.replace("X DEF", "C-MIB DEF");
    let traps = "T-MIB DEFINITIONS ::= BEGIN
        snmp OBJECT IDENTIFIER ::= { mib-2 11 }
        coldStart TRAP-TYPE ENTERPRISE snmp ::= 0
        fan TRAP-TYPE ENTERPRISE acme ::= 3
        END";
    let files = [("a", &*first), ("b", &second), ("c", &third), ("t", traps)];
    let found = read(&files);
    assert_eq!(found.warnings, [""; 0]);
    assert_eq!(
        oid(&found, "C-MIB::disk").as_deref(),
        Some("1.3.6.1.4.1.5.1")
    );
    let cold = oid(&found, "T-MIB::coldStart");
    assert_eq!(cold.as_deref(), Some("1.3.6.1.6.3.1.1.5.1"));
    assert_eq!(
        oid(&found, "T-MIB::fan").as_deref(),
        Some("1.3.6.1.4.1.5.0.3")
    );
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
fn a_byte_order_mark_is_no_mistake() {
    let found = read(&[("acme.mib", &format!("\u{FEFF}{ACME}"))]);
    assert_eq!(found.warnings, [""; 0]);
    assert!(oid(&found, "ACME-MIB::acmeDisk").is_some());
}

#[test]
fn of_two_files_with_one_module_the_first_counts_and_both_are_named() {
    let other = ACME.replace("99999", "99997");
    let found = read(&[("a.mib", ACME), ("b.mib", &other)]);
    assert_eq!(
        found.warnings,
        [
            "MIB file `D/b.mib`: also has the module `ACME-MIB`; that of `D/a.mib` is used (remove one of them)"
        ]
    );
    assert!(name(&found, "1.3.6.1.4.1.99999").is_some());
    assert!(name(&found, "1.3.6.1.4.1.99997").is_none());
}

#[test]
fn a_module_that_no_file_has_is_named_with_the_file_that_wants_it() {
    let wants = |name: &str| {
        module(name, "disk OBJECT IDENTIFIER ::= { vendor 1 }").replace(
            "IMPORTS enterprises FROM SNMPv2-SMI",
            "IMPORTS vendor FROM VENDOR-SMI",
        )
    };
    let found = read(&[("a.mib", &wants("A-MIB")), ("b.mib", &wants("B-MIB"))]);
    assert_eq!(
        found.warnings,
        [
            "MIB file `D/a.mib`, line 3: `disk` is left out, and what is below it: its parent `vendor` of the module \
             `VENDOR-SMI` is unknown",
            "MIB file `D/b.mib`, line 3: `disk` is left out, and what is below it: its parent `vendor` of the module \
             `VENDOR-SMI` is unknown",
            "MIB file `D/a.mib`: imports `vendor` from the module `VENDOR-SMI`, which no file has, and 1 more file \
             needs it (add its file to a folder of `traps.mib_dirs`)",
        ]
    );
}

#[test]
fn of_two_names_for_one_object_the_newer_language_is_shown() {
    let newer = ACME.replace(
        "acme OBJECT IDENTIFIER ::=",
        "acme MODULE-IDENTITY LAST-UPDATED \"202601010000Z\" ORGANIZATION \"\" CONTACT-INFO \"\" DESCRIPTION \"\" ::=",
    );
    let older = module("A-MIB", "old OBJECT IDENTIFIER ::= { enterprises 99999 }");
    let found = read(&[("a.mib", &older), ("b.mib", &newer)]);
    assert_eq!(found.warnings, [""; 0]);
    let shown = name(&found, "1.3.6.1.4.1.99999");
    assert_eq!(shown.as_deref(), Some("ACME-MIB::acme"));
}

#[test]
fn what_is_below_itself_is_left_out() {
    let lines = "a OBJECT IDENTIFIER ::= { b 1 }
        b OBJECT IDENTIFIER ::= { c 1 }
        c OBJECT IDENTIFIER ::= { a 1 }
        d OBJECT IDENTIFIER ::= { enterprises 1 }";
    let found = read(&[("a.mib", &module("CYCLE-MIB", lines))]);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].ends_with("it is below itself"));
    assert!(oid(&found, "CYCLE-MIB::a").is_none());
    assert!(oid(&found, "CYCLE-MIB::d").is_some());
}

#[test]
fn a_chain_of_any_length_ends_at_the_limit_of_rfc_2578() {
    let below =
        |name: &str, parent: &str| format!("{name} OBJECT IDENTIFIER ::= {{ {parent} 1 }}\n");
    let (mut lines, mut last) = (String::new(), below("n0", "enterprises"));
    for number in 1..25_000 {
        let line = below(&format!("n{number}"), &format!("n{}", number - 1));
        // In no order, and in the reverse order.
        if number % 2 == 0 {
            &mut lines
        } else {
            &mut last
        }
        .push_str(&line);
        lines += &below(&format!("m{number}"), &format!("m{}", number + 1));
    }
    lines += &below("m25000", "enterprises");
    lines += &last;
    let found = read(&[("chain.mib", &module("CHAIN-MIB", &lines))]);
    // `n0` has seven numbers.
    let deepest = oid(&found, "CHAIN-MIB::n121").unwrap();
    assert_eq!(deepest.split('.').count(), 128);
    assert_eq!(oid(&found, "CHAIN-MIB::n122"), None);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    let reason = "its object identifier has more than 128 numbers";
    assert!(
        found.warnings[0].contains(", line "),
        "{:?}",
        found.warnings
    );
    assert!(found.warnings[0].ends_with(reason), "{:?}", found.warnings);
    let numbers = "1 ".repeat(400_000);
    let lines = format!("a OBJECT IDENTIFIER ::= {{ enterprises {numbers} }}");
    let found = read(&[("long.mib", &module("LONG-MIB", &lines))]);
    assert!(found.warnings[0].ends_with(reason), "{:?}", found.warnings);
}

#[test]
fn more_than_the_limits_is_not_read() {
    let words = ",".repeat(MAX_WORDS + 1);
    let names = |module_name: &str| {
        let lines = 0..MAX_NAMES / 2;
        let lines = lines.map(|number| format!("n{number} OBJECT IDENTIFIER::={{iso 1}}\n"));
        module(module_name, &lines.collect::<String>())
    };
    let found = read(&[
        ("a.mib", &module("A-MIB", &words)),
        ("b.mib", &names("B-MIB")),
        ("c.mib", &names("C-MIB")),
        (
            "d.mib",
            &module("D-MIB", "n OBJECT IDENTIFIER ::= { enterprises 1 }"),
        ),
    ]);
    assert_eq!(
        found.warnings,
        [
            "MIB file `D/a.mib`: is not read: it has more than 500,000 words and signs",
            "MIB file `D/c.mib`: is not read to its end: together, MIB files have more than 100,000 names",
            "MIB file `D/d.mib`: is not read to its end: together, MIB files have more than 100,000 names",
        ]
    );
    assert!(oid(&found, "B-MIB::n49999").is_some());
    assert!(oid(&found, "D-MIB::n").is_none());
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
        for times in [90, 100_000] {
            let nested = format!("SYNTAX {}{}", open.repeat(times), close.repeat(times));
            let text = ACME.replace("SYNTAX DisplayString", &nested);
            let text = text.replace("ACME-MIB", &format!("ACME-{number}-{times}-MIB"));
            fs::write(folder.path().join(format!("{number}-{times}.mib")), text).unwrap();
        }
    }
    let types: String = (1..20_000)
        .map(|number| format!("T{number} ::= T{}\n", number - 1))
        .collect();
    let types = format!("TYPES-MIB DEFINITIONS ::= BEGIN\n{types}T0 ::= INTEGER\nEND\n");
    fs::write(folder.path().join("types.mib"), types).unwrap();
    let found = MibNames::read(&[folder.path().to_owned()]);
    assert!(name(&found, "1.3.6.1.4.1.99999").is_some());
}
