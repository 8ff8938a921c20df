//! Packs the sources of `delfin-plugin-api`, the Python kit and the C headers for `new`. They
//! are not published, so the binary contains them and the versions of their dependencies.
//!
//! Manifests are edited as text, which keeps their comments.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

const CRATES: [&str; 5] = [
    "plugin-api",
    "plugin-api/abi",
    "plugin-api/c",
    "plugin-api/loader",
    "plugin-api/protocol",
];

/// The package of the Python kit.
const PYTHON_KIT: &str = "plugin-api/python/src/delfin_plugin";

/// The C interface: its headers, and the file that connects Go code with it.
const HEADERS: [&str; 3] = ["delfin_batch.h", "delfin_plugin.h", "delfin_settings.h"];
const C_FOLDER: &str = "plugin-api/c";
const GO_FOLDER: &str = "plugin-api/c/examples/golines";

/// The sections that a crate needs only in this repository.
const DEVELOPMENT_SECTIONS: [&str; 4] = ["[dev-dependencies", "[[bench", "[[test", "[[example"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut python = Pack::new(root.clone(), out.clone());
    python.add_folder(PYTHON_KIT)?;
    let mut c = Pack::new(root.clone(), out.clone());
    for header in HEADERS {
        c.add_copy(&format!("{C_FOLDER}/{header}"))?;
    }
    let mut go = Pack::new(root.clone(), out.clone());
    go.add_copy(&format!("{GO_FOLDER}/delfin.go"))?;
    let mut pack = Pack::new(root, out);
    let mut manifests = String::new();
    for name in CRATES {
        let manifest = pack.read(&format!("{name}/Cargo.toml"))?;
        let manifest = sections(&manifest, |header| {
            !DEVELOPMENT_SECTIONS
                .iter()
                .any(|unwanted| header.starts_with(unwanted))
        });
        pack.add_generated(&format!("{name}/Cargo.toml"), &manifest)?;
        pack.add_copy(&format!("{name}/build.rs"))?;
        pack.add_folder(&format!("{name}/src"))?;
        manifests += &manifest;
    }
    let workspace = workspace(&pack.read("Cargo.toml")?, &manifests);
    pack.add_generated("Cargo.toml", &workspace)?;
    pack.add_copy("LICENSE")?;
    let below = |list: &str, folder: &str| list.replace(&format!("(\"{folder}/"), "(\"");
    let c = below(&c.list, C_FOLDER);
    let go = format!("{}{c}", below(&go.list, GO_FOLDER));
    pack.finish(&[
        ("PYTHON", "Python kit", &below(&python.list, PYTHON_KIT)),
        ("C", "kit for C", &c),
        ("GO", "kit for Go", &go),
    ])
}

/// The files to pack, as the Rust source of a list.
struct Pack {
    root: PathBuf,
    out: PathBuf,
    list: String,
}

impl Pack {
    fn new(root: PathBuf, out: PathBuf) -> Self {
        Self {
            root,
            out,
            list: String::new(),
        }
    }

    fn read(&self, path: &str) -> io::Result<String> {
        println!("cargo::rerun-if-changed={}", self.root.join(path).display());
        fs::read_to_string(self.root.join(path))
    }

    fn add_generated(&mut self, path: &str, text: &str) -> Result<(), Box<dyn Error>> {
        let file = self.out.join(path.replace('/', "-"));
        fs::write(&file, text)?;
        self.add(path, &file)
    }

    fn add_copy(&mut self, path: &str) -> Result<(), Box<dyn Error>> {
        let file = self.root.join(path);
        if !file.exists() {
            return Ok(());
        }
        println!("cargo::rerun-if-changed={}", file.display());
        self.add(path, &file)
    }

    fn add_folder(&mut self, path: &str) -> Result<(), Box<dyn Error>> {
        println!("cargo::rerun-if-changed={}", self.root.join(path).display());
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(self.root.join(path))? {
            names.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        // Python leaves compiled files.
        for name in names.iter().filter(|name| *name != "__pycache__") {
            let path = format!("{path}/{name}");
            if self.root.join(&path).is_dir() {
                self.add_folder(&path)?;
            } else {
                self.add_copy(&path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &str, file: &Path) -> Result<(), Box<dyn Error>> {
        let file = file.canonicalize()?;
        Ok(writeln!(
            self.list,
            "    ({path:?}, include_bytes!({file:?})),"
        )?)
    }

    /// Writes this list, and those of the other kits: the name, a description, and the list.
    fn finish(self, kits: &[(&str, &str, &str)]) -> Result<(), Box<dyn Error>> {
        let lock = self.root.join("Cargo.lock").canonicalize()?;
        let mut text = format!(
            "/// The path and the content of each file.\n\
             pub(super) const FILES: &[(&str, &[u8])] = &[\n{}];\n\n\
             /// `Cargo.lock` with the tested versions of the dependencies.\n\
             pub(super) const LOCK: &[u8] = include_bytes!({lock:?});\n",
            self.list
        );
        for (name, what, list) in kits {
            write!(
                text,
                "\n/// The path and the content of each file of the {what}.\n\
                 pub(super) const {name}: &[(&str, &[u8])] = &[\n{list}];\n"
            )?;
        }
        Ok(fs::write(self.out.join("sdk.rs"), text)?)
    }
}

/// The manifest of a workspace with the crates: what they inherit from the
/// workspace of this repository.
fn workspace(root: &str, manifests: &str) -> String {
    let inherited = sections(root, |header| {
        [
            "[workspace.package]",
            "[workspace.dependencies]",
            "[workspace.lints",
        ]
        .iter()
        .any(|wanted| header.starts_with(wanted))
    });
    let named: BTreeSet<&str> = manifests.lines().filter_map(key).collect();
    let mut in_dependencies = false;
    let mut wanted = true;
    let mut comments = String::new();
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = {CRATES:?}\n\n");
    for line in inherited.lines() {
        if line.starts_with('[') {
            in_dependencies = line == "[workspace.dependencies]";
            wanted = true;
        } else if line.starts_with('#') {
            // A comment belongs to the entry after it, and is kept or dropped with it.
            comments += &format!("{line}\n");
            continue;
        } else if in_dependencies && let Some(key) = key(line) {
            wanted = named.contains(key);
        }
        let comments = std::mem::take(&mut comments);
        if wanted || line.is_empty() {
            text += &format!("{comments}{line}\n");
        }
    }
    text
}

/// The sections of a manifest whose header `wanted` accepts.
fn sections(manifest: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut keep = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = wanted(line);
        }
        if keep {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// The key of an entry.
fn key(line: &str) -> Option<&str> {
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))?;
    (end > 0).then(|| &line[..end])
}
