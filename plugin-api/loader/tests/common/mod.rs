//! A folder for plugin files, a cache, and the plugins that cargo builds.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        let lab = Self { folder };
        set_mode(&lab.plugins(), 0o755);
        lab
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(crate) fn copy_of(&self, library: &Path) -> PathBuf {
        let copy = self.plugins().join(library.file_name().unwrap());
        fs::copy(library, &copy).unwrap();
        set_mode(&copy, 0o644);
        copy
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The example plugin.
pub(crate) fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        build(Path::new(manifest), "delfin-exporter-example")
    })
}

/// Builds a plugin and says where its library is.
pub(crate) fn build(workspace: &Path, package: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--message-format=json", "--package", package])
        .arg("--manifest-path")
        .arg(workspace)
        .output()
        .unwrap();
    let messages = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let library = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let file = message["filenames"][0].as_str()?;
        file.ends_with(std::env::consts::DLL_SUFFIX)
            .then(|| PathBuf::from(file))
    });
    library.unwrap()
}
