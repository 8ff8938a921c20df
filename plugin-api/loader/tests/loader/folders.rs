//! Plugins that are folders with a command.

use std::{
    fs,
    num::NonZeroU64,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_plugin_loader::{
    Catalog, FileHashes, OpenOptions, PathRole, PluginProgram, ProgramTransport, Reason,
    UntrustedFile, check, find, inspect, prepare,
};

use crate::lab::{Lab, assert_line, set_mode};

const MANIFEST: &str = r#"
name = "acme"
version = "1.2.0"
license = "Apache-2.0"
vendor = "Acme"
command = ["./run", "--fast"]
transport = "stdio"
colour = "red"

[[exporters]]
name = "AcmeExporter"
kind = "performance"
max_points = 7

[[drivers]]
vendor = "acme"
model = "one"
interval_seconds = 30
timeout_second = 5
"#;

/// A plugin whose program does not run: its interpreter does not exist.
fn folder(lab: &Lab, name: &str) -> PathBuf {
    let folder = lab.plugins().join(name);
    fs::create_dir_all(folder.join("lib")).unwrap();
    for (name, content, mode) in [
        ("plugin.toml", MANIFEST, 0o644),
        ("example.toml", "# settings\n", 0o644),
        ("run", "#!/no/such/interpreter\n", 0o755),
        ("lib/Ünder score.txt", "x", 0o644),
    ] {
        fs::write(folder.join(name), content).unwrap();
        set_mode(&folder.join(name), mode);
    }
    set_mode(&folder, 0o755);
    set_mode(&folder.join("lib"), 0o755);
    folder
}

/// The reason why a folder is refused. The error is one line that names it.
fn refused(lab: &Lab, folder: &Path) -> Reason {
    let prepared = inspect(folder).and_then(|plugin| {
        check(&plugin)?;
        prepare(&plugin, &lab.options()).map(drop)
    });
    let error = prepared.unwrap_err();
    assert_line(&error);
    error.reason
}

#[test]
fn a_folder_is_found_with_libraries_and_its_manifest_is_read() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    lab.file("notes.plugin", b"");
    let (found, errors) = find(&[lab.plugins()]);
    assert_eq!(found, [folder]);
    let file = lab.plugins().join("notes.plugin");
    assert_eq!(errors, [Reason::NotAPluginFolder.at(file)]);

    let (catalog, _) = Catalog::scan(&[lab.plugins()], &FileHashes::default());
    let entry = catalog.entry("AcmeExporter", Some("acme.plugin")).unwrap();
    assert_eq!(entry.exporter.max_points.map(u64::from), Some(7));
    let manifest = &entry.plugin.manifest;
    let command = manifest.command.as_ref().unwrap();
    assert_eq!(command.words, ["./run", "--fast"]);
    assert_eq!(command.transport, ProgramTransport::Stdio);
    assert_eq!(manifest.example, "# settings\n");
    let driver = &manifest.drivers[0];
    let seconds = (driver.interval_seconds, driver.timeout_seconds);
    assert_eq!(
        seconds,
        (NonZeroU64::new(30), NonZeroU64::new(300).unwrap())
    );
    let unknown = entry.plugin.unknown_keys().unwrap();
    assert!(
        unknown.contains("`colour`, `drivers.0.timeout_second`"),
        "{unknown}"
    );
    assert_eq!(
        (&*manifest.plugin, &*manifest.version, &*manifest.license),
        ("acme", "1.2.0", "Apache-2.0")
    );
}

#[test]
fn the_hash_is_that_of_the_list_of_sha256sum() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    let mut list = Command::new("sh");
    list.current_dir(&folder).args([
        "-c",
        "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum",
    ]);
    let list = list.output().unwrap();
    let printed = String::from_utf8_lossy(&list.stdout).into_owned();
    let plugin = inspect(&folder).unwrap();
    assert_eq!(plugin.sha256.to_string(), &printed[..64]);

    let options = |sha256| OpenOptions {
        sha256,
        ..lab.options()
    };
    prepare(&plugin, &options(Some(plugin.sha256))).unwrap();
    fs::write(folder.join("lib/added"), "").unwrap();
    let error = prepare(&plugin, &options(Some(plugin.sha256))).unwrap_err();
    assert!(
        matches!(error.reason, Reason::OtherSha256 { .. }),
        "{error}"
    );
    let error = prepare(&plugin, &options(None)).unwrap_err();
    assert_eq!(error.reason, Reason::Changed);
}

#[test]
fn a_prepared_command_notices_a_change_and_never_opens_in_the_host() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    let prepared = prepare(&inspect(&folder).unwrap(), &lab.options()).unwrap();
    let PluginProgram::Command(command) = prepared.program() else {
        panic!("{prepared:?}");
    };
    assert_eq!(command.program, folder.join("./run"));
    command.check_unchanged().unwrap();
    fs::write(folder.join("run"), "#!/other\n").unwrap();
    assert_eq!(command.check_unchanged(), Err(Reason::Changed));
    assert_eq!(prepared.open().unwrap_err().reason, Reason::OnlyProcess);
}

#[test]
fn a_folder_that_cannot_be_a_plugin_is_refused_with_its_reason() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    let manifest = folder.join("plugin.toml");
    let with = |from: &str, to: &str| {
        fs::write(&manifest, MANIFEST.replace(from, to)).unwrap();
        refused(&lab, &folder).to_string()
    };
    let rows = MANIFEST[MANIFEST.find("[[").unwrap()..].to_owned();
    for (from, to, part) in [
        ("version = \"1.2.0\"", "", "missing field `version`"),
        (
            "1.2.0",
            "soon",
            "`version` is `soon`, which is not a version",
        ),
        (
            "\"stdio\"",
            "\"smoke\"",
            "malformed `plugin.toml`: line 7: unknown variant `smoke`",
        ),
        ("vendor = \"acme\"", "vendor = 7", "line 16: invalid type"),
        (
            "AcmeExporter",
            "Acme Exporter",
            "is not a name for an exporter",
        ),
        ("\"./run\", \"--fast\"", "", "`command` is empty"),
        ("./run", "./lib", "runs `./lib`, which is not a program"),
        (
            "./run",
            "no-such-program",
            "runs `no-such-program`, which is not a program",
        ),
        ("\"performance\"", "", "malformed `plugin.toml`"),
        (&*rows, "", "declares no exporter and no driver"),
        (
            "[[exporters]]",
            "[[drivers]]\nvendor = \"a b\"\nmodel = \"m\"\n[[exporters]]",
            "`a b` is not a vendor or a model",
        ),
        (
            "[[exporters]]",
            "[[drivers]]\nvendor = \"a\"\nmodel = \"m\"\naccess = [\"rest\", \"snmp\"]\n[[exporters]]",
            "`snmp` is not a kind of access data (use `rest`, `ssh`, `cli`, `smis`)",
        ),
        (
            "[[exporters]]",
            "[[drivers]]\nvendor = \"a\"\nmodel = \"m\"\n[[drivers]]\nvendor = \"a\"\nmodel = \"m\"\n[[exporters]]",
            "declares the driver for vendor `a`, model `m` twice",
        ),
    ] {
        let text = with(from, to);
        assert!(text.contains(part), "{text}");
    }
    fs::remove_file(&manifest).unwrap();
    assert_eq!(refused(&lab, &folder), Reason::NoManifestFile);
}

#[test]
fn links_that_lead_nowhere_are_no_reason_to_refuse_a_folder() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    for (target, link) in [("nowhere", "link"), ("loop", "loop")] {
        symlink(target, folder.join(link)).unwrap();
    }
    let (catalog, refused) = Catalog::scan(&[lab.plugins()], &FileHashes::default());
    assert_eq!((catalog.plugins().len(), refused.len()), (1, 0));
}

#[test]
fn every_path_that_other_users_can_write_is_refused() {
    let lab = Lab::new();
    let folder = folder(&lab, "acme.plugin");
    let outside = lab.outside("target");
    fs::write(&outside, "").unwrap();
    symlink(&outside, folder.join("link")).unwrap();
    let path = |name: &str| folder.join(name);
    for (path, role) in [
        (folder.clone(), PathRole::Plugin),
        (lab.plugins(), PathRole::Folder),
        (path("lib"), PathRole::Folder),
        (path("plugin.toml"), PathRole::File),
        (path("lib/Ünder score.txt"), PathRole::File),
        (outside, PathRole::File),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions();
        set_mode(&path, 0o777);
        let Reason::Untrusted(UntrustedFile::WritableFolder { paths, .. }) = refused(&lab, &folder)
        else {
            panic!("{}", path.display());
        };
        let found: Vec<_> = paths
            .iter()
            .map(|found| (&found.path, found.role))
            .collect();
        assert_eq!(found, [(&path, role)]);
        fs::set_permissions(&path, mode).unwrap();
    }
    // Listing shows it as refused, too.
    set_mode(&path("run"), 0o757);
    let (catalog, refused) = Catalog::scan(&[lab.plugins()], &FileHashes::default());
    assert_eq!((catalog.plugins().len(), refused.len()), (0, 1));
}
