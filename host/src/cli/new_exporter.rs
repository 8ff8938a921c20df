//! `new exporter`: writes a project with a working exporter.
//!
//! The project needs nothing of this repository: a folder of it holds the sources of
//! `delfin-plugin-api`, the Python kit, or the headers of the C interface, as they were when this host was built.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::ValueEnum;
use delfin_plugin_api::Kind;

use self::template::ProjectTemplate;
use super::{error::Error, output::Output};

mod sdk;
mod template;

#[derive(Debug, clap::Args)]
pub struct NewExporterArgs {
    /// Name in lower case, such as that of the receiver; names the folder and the exporter
    pub name: ExporterName,

    /// Kind of batches that the exporter gets
    #[arg(long, default_value = "performance")]
    pub kind: ExporterKind,

    /// Language of the exporter
    #[arg(long, default_value = "rust")]
    pub lang: Language,
}

/// What an exporter is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A crate, built as a library
    Rust,
    /// A folder with a Python program
    Python,
    /// A library in C, with a Makefile
    C,
    /// A library in Go, with a Makefile
    Go,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExporterKind {
    /// Series of data points
    Performance,
    /// Alerts
    Alert,
}

/// The name of a new exporter: `acme`, `big-lake`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterName(String);

/// Why the project was not written.
#[derive(Debug, thiserror::Error)]
enum NewExporterError {
    #[error("`{}` already exists (choose another name, or remove it)", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ExporterName {
    const MAX: usize = 40;

    /// The name in the form of a Rust type: `BigLake`.
    fn camel_case(&self) -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let words = self.0.split('-').filter(|word| !word.is_empty());
        words.map(capital).collect()
    }
}

impl FromStr for ExporterName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.len() > Self::MAX {
            return Err("use at most 40 characters");
        }
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_valid) {
            return Err("use a-z, 0-9 and `-`, and begin with a-z");
        }
        Ok(Self(name.to_owned()))
    }
}

impl std::fmt::Display for ExporterName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ExporterKind> for Kind {
    fn from(kind: ExporterKind) -> Self {
        match kind {
            ExporterKind::Performance => Self::Performance,
            ExporterKind::Alert => Self::Alert,
        }
    }
}

impl From<NewExporterError> for Error {
    fn from(error: NewExporterError) -> Self {
        Self::failed(error)
    }
}

pub(super) fn run(args: &NewExporterArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let template = ProjectTemplate::new(&args.name, args.kind.into(), args.lang);
    let folder = PathBuf::from(args.name.to_string());
    write(&folder, &template)?;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "path": folder,
            "exporter": template.exporter(),
            "library": template.library(),
        }));
    }
    output.line(&template.next_steps())
}

/// Writes all files, or none.
fn write(folder: &Path, template: &ProjectTemplate) -> Result<(), NewExporterError> {
    fs::create_dir(folder).map_err(|source| {
        let path = folder.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => NewExporterError::Exists { path },
            _ => NewExporterError::Write { path, source },
        }
    })?;
    let files = template.files().into_iter();
    let files = files.map(|(path, text)| (path, text.into_bytes()));
    let (kit_folder, kit) = template.kit();
    let kit = kit
        .iter()
        .map(|(path, bytes)| (format!("{kit_folder}/{path}"), bytes.to_vec()));
    let lock = (template.language() == Language::Rust)
        .then(|| ("Cargo.lock".to_owned(), sdk::LOCK.to_vec()));
    for (path, bytes) in files.chain(kit).chain(lock) {
        let path = folder.join(path);
        if let Err(source) = write_file(&path, &bytes) {
            // An incomplete project would make the next attempt fail.
            let _ = fs::remove_dir_all(folder);
            return Err(NewExporterError::Write { path, source });
        }
    }
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_folder_and_a_type() {
        let camel = |name: &str| name.parse::<ExporterName>().unwrap().camel_case();
        assert_eq!(camel("acme"), "Acme");
        assert_eq!(camel("big-lake2"), "BigLake2");
        assert_eq!(camel("a--b-"), "AB");
    }

    #[test]
    fn an_invalid_name_is_refused() {
        let long = "a".repeat(41);
        for name in ["", "Acme", "3par", "-a", "a_b", "../a", "a/b", "ä", &long] {
            assert!(name.parse::<ExporterName>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_next_steps_name_the_library_the_exporter_and_its_list() {
        let name = "big-lake".parse().unwrap();
        let steps = ProjectTemplate::new(&name, Kind::Performance, Language::Rust).next_steps();
        let steps = steps.replace(std::env::consts::DLL_SUFFIX, ".so");
        insta::assert_snapshot!(steps);
        let steps = ProjectTemplate::new(&name, Kind::Alert, Language::Python).next_steps();
        assert!(
            steps.contains("  cp -r big-lake.plugin PLUGIN_FOLDER\n"),
            "{steps}"
        );
        assert!(steps.contains("`AlertExporterBigLake`"), "{steps}");
    }

    #[test]
    fn every_placeholder_of_the_template_is_replaced() {
        for (kind, language) in [
            (Kind::Performance, Language::Rust),
            (Kind::Alert, Language::Rust),
            (Kind::Performance, Language::Python),
            (Kind::Alert, Language::Python),
            (Kind::Performance, Language::C),
            (Kind::Alert, Language::C),
            (Kind::Performance, Language::Go),
            (Kind::Alert, Language::Go),
        ] {
            let template = ProjectTemplate::new(&"acme".parse().unwrap(), kind, language);
            for (path, text) in template.files() {
                // A decorator in Python, and the target of a rule in a Makefile.
                let text = path.clone() + &text.replace("@dataclass", "").replace("$@", "");
                assert!(!text.contains('@'), "{path}: {text}");
            }
        }
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        let name = "acme".parse().unwrap();
        let error = write(
            folder.path(),
            &ProjectTemplate::new(&name, Kind::Alert, Language::Python),
        )
        .unwrap_err();
        assert!(matches!(error, NewExporterError::Exists { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_sdk_has_all_that_a_plugin_needs_to_build() {
        let text = |path: &str| {
            let file = sdk::FILES.iter().find(|(name, _)| *name == path);
            String::from_utf8(file.unwrap().1.to_vec()).unwrap()
        };
        assert!(text("plugin-api/src/lib.rs").contains("pub use exporter::Exporter"));
        assert!(text("plugin-api/abi/Cargo.toml").contains("delfin-plugin-abi"));
        assert!(!text("plugin-api/loader/Cargo.toml").contains("dev-dependencies"));
        let workspace: toml::Table = text("Cargo.toml").parse().unwrap();
        let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
        assert!(dependencies.contains_key("abi_stable"));
        assert!(!dependencies.contains_key("rusqlite"));
    }
}
