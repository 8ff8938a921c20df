//! A plugin folder, a plugin cache, and functions that build plugin files.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use delfin_plugin_loader::{
    OpenOptions, OpenPlugin, PluginError, Reason, TARGET, check, inspect, open,
};

/// A valid manifest.
pub(crate) fn good_manifest() -> String {
    format!(
        r#"{{"abi":"1.0.0","target":"{TARGET}","panic":"unwind","plugin":"tiny","version":"0.1.0",
        "exporters":[{{"name":"Tiny","kind":"performance"}}]}}"#
    )
}

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Self { folder };
        fs::create_dir(lab.plugins()).unwrap();
        set_mode(&lab.plugins(), 0o755);
        lab
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// A file outside the plugin folder.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the plugin folder.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.plugins().join(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o644);
        path
    }

    pub(crate) fn copy_of(&self, library: &Path) -> PathBuf {
        let name = library.file_name().unwrap().to_str().unwrap();
        self.file(name, &fs::read(library).unwrap())
    }

    /// A library that `cc` builds from C source.
    pub(crate) fn compile(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let file = self.outside("source.c");
        fs::write(&file, source).unwrap();
        let library = self.plugins().join(name);
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(file);
        let output = cc.args(flags).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        set_mode(&library, 0o644);
        library
    }

    /// A library that `cc` builds from C source, with a manifest.
    pub(crate) fn tiny(&self, name: &str, manifest: &str, code: &str) -> PathBuf {
        self.compile(name, &with_manifest(manifest, code), &[])
    }

    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions::new(self.cache())
    }

    /// Inspects, checks and opens.
    pub(crate) fn open(&self, path: &Path) -> Result<OpenPlugin, PluginError> {
        let plugin = inspect(path)?;
        check(&plugin)?;
        open(&plugin, &self.options())
    }

    /// The reason why a file is refused. The error is one line that names the file.
    pub(crate) fn refused(&self, path: &Path) -> Reason {
        let error = self.open(path).unwrap_err();
        assert_line(&error);
        assert_eq!(error.path, path);
        error.reason
    }
}

pub(crate) fn assert_line(error: &PluginError) {
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    let named = format!("`{}`", error.path.display());
    assert!(line.contains(&named), "{line}");
}

/// C source with the manifest record of a plugin.
pub(crate) fn with_manifest(manifest: &str, code: &str) -> String {
    let mut record = b"DELFINPL".to_vec();
    record.extend(1_u32.to_le_bytes());
    record.extend((manifest.len() as u32).to_le_bytes());
    record.extend(manifest.as_bytes());
    let bytes: Vec<_> = record.iter().map(u8::to_string).collect();
    format!(
        "__attribute__((section(\".delfin_plugin\"), used))\n\
         static const unsigned char manifest[] = {{ {} }};\n{code}\n",
        bytes.join(",")
    )
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The content with the first occurrence of `from` replaced by `to`, which has the same
/// length.
pub(crate) fn patched(content: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = content.to_vec();
    let mut windows = bytes.windows(from.len());
    let at = windows.position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("the file does not contain `{from}`"));
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

/// The example plugin.
pub(crate) fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let args = ["--package", "delfin-exporter-example"];
        built(ROOT, &args, "/filenames/0", std::env::consts::DLL_SUFFIX)
    })
}

/// A plugin that was built with another version of the interface.
pub(crate) fn compat_plugin(version: &str) -> PathBuf {
    let package = format!("compat-plugin-{version}");
    let args = ["--package", &package];
    let suffix = std::env::consts::DLL_SUFFIX;
    built("/tests/abi/Cargo.toml", &args, "/filenames/0", suffix)
}

const ROOT: &str = "/Cargo.toml";

/// Builds something with cargo and returns its path.
fn built(workspace: &str, args: &[&str], pointer: &str, suffix: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    // The target folder of this test, where most dependencies are already built.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--message-format=json"]);
    cargo.arg(format!("--manifest-path={root}{workspace}"));
    let output = cargo.arg("--target-dir").arg(target).args(args).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let messages = String::from_utf8(output.stdout).unwrap();
    let file = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let file = message.pointer(pointer)?.as_str()?;
        file.ends_with(suffix).then(|| PathBuf::from(file))
    });
    file.unwrap()
}
