//! Files that are refused: without opening them, or because they cannot be opened.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_plugin_loader::{
    MAX_BYTES, PathRole, Reason, UntrustedFile, WritablePath, Writer, check, find, inspect,
};

use crate::lab::{Lab, assert_line, example, good_manifest, patched, set_mode, with_manifest};

#[test]
fn libraries_are_found_in_order_and_other_files_are_ignored() {
    let lab = Lab::new();
    for name in ["b.so", "a.so", "README.md", "c.so.1", "d.dll"] {
        lab.file(name, b"");
    }
    let folders = [lab.plugins(), lab.plugins().join("../plugins")];
    let (found, refused) = find(&folders);
    let expected: Vec<PathBuf> = ["a.so", "b.so", "d.dll"]
        .map(|n| lab.plugins().join(n))
        .into();
    assert_eq!((found, refused), (expected, Vec::new()));
}

#[test]
fn each_entry_that_is_not_a_file_is_one_error_and_the_rest_is_found() {
    let lab = Lab::new();
    fs::create_dir(lab.plugins().join("directory.so")).unwrap();
    symlink("/nowhere.so", lab.plugins().join("link.so")).unwrap();
    let fifo = Command::new("mkfifo")
        .arg(lab.plugins().join("fifo.so"))
        .status();
    assert!(fifo.unwrap().success());
    lab.file("plugin.so", b"");
    let missing = lab.outside("missing");
    let (found, refused) = find(&[missing.clone(), lab.plugins()]);
    assert_eq!(found, [lab.plugins().join("plugin.so")]);
    refused.iter().for_each(assert_line);
    let target = PathBuf::from("/nowhere.so");
    let expected = [
        Reason::FolderMissing.at(missing),
        Reason::Directory.at(lab.plugins().join("directory.so")),
        Reason::NotRegular.at(lab.plugins().join("fifo.so")),
        Reason::DanglingLink { target }.at(lab.plugins().join("link.so")),
    ];
    assert_eq!(refused, expected);
    for error in &refused[1..] {
        assert_eq!(inspect(&error.path).as_ref(), Err(error));
    }
}

#[test]
fn a_missing_folder_names_the_setting() {
    let (_, refused) = find(&["/no/such".into(), "/dev/null".into()]);
    let lines: Vec<_> = refused.iter().map(ToString::to_string).collect();
    let expected = [
        "plugin folder `/no/such` does not exist (create it, or correct `plugin_dirs`)",
        "plugin folder `/dev/null` is not a folder (correct `plugin_dirs`)",
    ];
    assert_eq!(lines, expected);
}

// Root can read a file of any mode, so the test uses another error than a mode.
#[test]
fn an_unreadable_file_names_the_error_of_the_system() {
    let lab = Lab::new();
    let path = lab.file("file", b"").join("plugin.so");
    let error = "Not a directory (os error 20)".to_owned();
    assert_eq!(lab.refused(&path), Reason::Unreadable { error });
}

#[test]
fn an_empty_file_and_a_file_of_another_type_have_different_reasons() {
    let lab = Lab::new();
    let (text, empty) = (lab.file("a.so", b"#!/bin/sh\n"), lab.file("b.so", b""));
    assert_eq!(lab.refused(&text), Reason::NotALibrary);
    assert_eq!(lab.refused(&empty), Reason::Empty);
    let object = lab.compile("c.so", "int x;", &["-c", "-r"]);
    assert_eq!(lab.refused(&object), Reason::NotALibrary);
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let lab = Lab::new();
    let path = lab.file("huge.so", b"");
    let size = MAX_BYTES + 1;
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(size)
        .unwrap();
    let max = MAX_BYTES;
    assert_eq!(lab.refused(&path), Reason::TooLarge { size, max });
}

#[test]
fn a_file_cut_at_any_place_is_truncated() {
    let lab = Lab::new();
    let whole = fs::read(lab.tiny("tiny.so", &good_manifest(), "")).unwrap();
    for end in (4..whole.len()).step_by(97) {
        let cut = lab.file("cut.so", &whole[..end]);
        assert_eq!(lab.refused(&cut), Reason::Truncated, "at {end}");
    }
}

#[test]
fn a_damaged_file_never_panics() {
    let lab = Lab::new();
    let whole = fs::read(lab.tiny("tiny.so", &good_manifest(), "")).unwrap();
    for at in (4..64).chain((64..whole.len()).step_by(13)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        // Not every byte matters, but no change may panic.
        if let Err(error) = inspect(&lab.file("damaged.so", &bytes)) {
            assert_line(&error);
        }
    }
}

#[test]
fn a_library_without_a_manifest_is_not_a_plugin() {
    let lab = Lab::new();
    let path = lab.compile("plain.so", "int x;", &[]);
    assert_eq!(lab.refused(&path), Reason::NoManifest);
}

#[test]
fn another_architecture_is_named() {
    let lab = Lab::new();
    let mut bytes = fs::read(example()).unwrap();
    // e_machine: aarch64, or x86-64 where that is this machine.
    bytes[18] = if bytes[18] == 183 { 62 } else { 183 };
    let reason = lab.refused(&lab.file("foreign.so", &bytes));
    assert!(matches!(reason, Reason::OtherTarget { .. }), "{reason}");
}

#[test]
fn another_target_another_major_and_panic_abort_are_read_from_the_manifest() {
    let lab = Lab::new();
    let refused = |from: &str, to: &str| {
        let manifest = good_manifest().replace(from, to);
        lab.refused(&lab.tiny("tiny.so", &manifest, "")).to_string()
    };
    let line = refused("linux", "plan9");
    assert!(line.contains("plan9"), "{line}");
    let line = refused(r#""abi":"1.0.0""#, r#""abi":"2.3.4""#);
    assert!(
        line.starts_with("was built for plugin interface 2.3.4, this host has 1."),
        "{line}"
    );
    let line = refused("unwind", "abort");
    assert!(
        line.starts_with("was built with `panic = \"abort\"`"),
        "{line}"
    );
}

#[test]
fn panic_abort_is_refused_in_a_real_plugin() {
    let lab = Lab::new();
    let content = fs::read(example()).unwrap();
    let abort = patched(&content, r#""panic":"unwind""#, r#""panic":"abort" "#);
    assert_eq!(
        lab.refused(&lab.file("abort.so", &abort)),
        Reason::PanicAbort
    );
}

#[test]
fn a_malformed_manifest_says_what_is_wrong() {
    let lab = Lab::new();
    let refused = |manifest: &str| lab.refused(&lab.tiny("tiny.so", manifest, "")).to_string();
    let says = |line: String, what: &str| {
        assert!(line.starts_with("has a malformed manifest: "), "{line}");
        assert!(line.contains(what), "{line}");
    };
    says(refused("{"), "EOF while parsing");
    says(refused("{}"), "missing field `abi`");
    let good = good_manifest();
    says(refused(&good.replace("1.0.0", "one")), "`abi` is `one`");
    says(refused(&good.replace("0.1.0", "x")), "`version` is `x`");
    says(
        refused(&good.replace("\"Tiny\"", "\"a b\"")),
        "`a b` is not a name",
    );
    let exporter = r#"{"name":"Tiny","kind":"performance"}"#;
    says(refused(&good.replace(exporter, "")), "declares no exporter");
    let twice = format!("{exporter},{exporter}");
    says(refused(&good.replace(exporter, &twice)), "`Tiny` twice");
}

#[test]
fn an_unknown_kind_is_listed_for_a_newer_host() {
    let lab = Lab::new();
    let manifest = good_manifest().replace("performance", "topology");
    let plugin = inspect(&lab.tiny("tiny.so", &manifest, "")).unwrap();
    check(&plugin).unwrap();
    assert_eq!(plugin.manifest.exporters[0].kind, "topology");
}

#[test]
fn a_newer_glibc_is_named_with_the_running_one() {
    let lab = Lab::new();
    let content = fs::read(example()).unwrap();
    let newer = patched(&content, "GLIBC_2.2.5", "GLIBC_9.8.7");
    let reason = lab.refused(&lab.file("newer.so", &newer));
    let Reason::NewerGlibc { needed, running } = reason else {
        panic!("{reason}");
    };
    assert_eq!(needed, "9.8.7");
    assert!(running.starts_with("2."), "{running}");
}

#[test]
fn a_missing_library_is_named() {
    let lab = Lab::new();
    let path = needing_dependency(&lab, &[]);
    assert_eq!(inspect(&path).unwrap().image.missing, ["libdependency.so"]);
    let library = "libdependency.so".to_owned();
    assert_eq!(lab.refused(&path), Reason::MissingLibrary { library });
}

#[test]
fn a_library_found_only_through_origin_is_refused_with_the_reason() {
    let lab = Lab::new();
    let path = needing_dependency(&lab, &["-Wl,-rpath,$ORIGIN"]);
    lab.compile("libdependency.so", "void work(void) {}", &[]);
    assert_eq!(
        inspect(&path).unwrap().image.only_by_origin,
        ["libdependency.so"]
    );
    let library = "libdependency.so".to_owned();
    assert_eq!(lab.refused(&path), Reason::OriginLibrary { library });
}

/// A plugin that needs a library that does not exist any more.
fn needing_dependency(lab: &Lab, flags: &[&str]) -> PathBuf {
    let dependency = lab.compile("libdependency.so", "void work(void) {}", &[]);
    let folder = format!("-L{}", lab.plugins().display());
    let source = with_manifest(
        &good_manifest(),
        "void work(void); void f(void) { work(); }",
    );
    let flags = [&[&*folder, "-ldependency"], flags].concat();
    let path = lab.compile("needy.so", &source, &flags);
    fs::remove_file(dependency).unwrap();
    path
}

#[test]
fn static_thread_local_storage_is_detected() {
    let lab = Lab::new();
    let code =
        "__attribute__((tls_model(\"initial-exec\"))) __thread int x; int f(void) { return x; }";
    let hungry = inspect(&lab.tiny("hungry.so", &good_manifest(), code)).unwrap();
    let plain = inspect(&lab.tiny("plain.so", &good_manifest(), "")).unwrap();
    assert!(hungry.image.static_tls && !plain.image.static_tls);
}

#[test]
fn an_undefined_symbol_is_named_without_the_path_of_the_copy() {
    let lab = Lab::new();
    let code = "void nowhere(void); void (*f)(void) = nowhere;";
    let reason = lab.refused(&lab.tiny("tiny.so", &good_manifest(), code));
    let error = "undefined symbol: nowhere".to_owned();
    assert_eq!(reason, Reason::Open { error });
}

#[test]
fn a_manifest_without_a_root_module_is_not_enough() {
    let lab = Lab::new();
    let path = lab.tiny("tiny.so", &good_manifest(), "");
    assert_eq!(lab.refused(&path), Reason::NoRootModule);
}

fn writable(path: &Path, role: PathRole, mode: u32) -> UntrustedFile {
    let paths = vec![WritablePath {
        path: path.to_owned(),
        role,
        by: Writer::Mode(mode),
    }];
    UntrustedFile::Writable { paths }
}

#[test]
fn a_file_that_others_can_write_is_not_opened() {
    let lab = Lab::new();
    let path = lab.tiny("tiny.so", &good_manifest(), "");
    for mode in [0o664, 0o646, 0o666] {
        set_mode(&path, mode);
        let untrusted = writable(&path, PathRole::Plugin, mode);
        assert_eq!(inspect(&path).unwrap().trust, Err(untrusted.clone()));
        assert_eq!(lab.refused(&path), Reason::Untrusted(untrusted));
    }
    set_mode(&path, 0o644);
    for mode in [0o775, 0o757, 0o1777] {
        set_mode(&lab.plugins(), mode);
        let untrusted = writable(&lab.plugins(), PathRole::Folder, mode);
        assert_eq!(lab.refused(&path), Reason::Untrusted(untrusted));
    }
    set_mode(&lab.plugins(), 0o755);
    assert_eq!(lab.refused(&path), Reason::NoRootModule);
}

#[test]
fn a_link_into_a_folder_that_others_can_write_is_refused() {
    let lab = Lab::new();
    let elsewhere = Lab::new();
    let target = elsewhere.tiny("tiny.so", &good_manifest(), "");
    let link = lab.plugins().join("link.so");
    symlink(&target, &link).unwrap();
    assert_eq!(lab.refused(&link), Reason::NoRootModule);
    set_mode(&elsewhere.plugins(), 0o777);
    let reason = lab.refused(&link);
    assert!(matches!(reason, Reason::Untrusted(_)), "{reason}");
}
