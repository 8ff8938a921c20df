//! `new driver`: a project with a working driver.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::PathBuf,
};

use clap::ValueEnum;

use super::{
    name::ProjectName,
    project::{Project, TemplateFiles, fill},
    sdk,
};
use crate::{
    cli::{error::Error, output::Output},
    platform::COPY_LIBRARY,
};

const RUST_FILES: TemplateFiles = &[
    ("Cargo.toml", include_str!("rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("rust/lib.rs.in")),
    (
        "tests/conformance.rs",
        include_str!("rust/conformance.rs.in"),
    ),
    ("example.toml", include_str!("example.toml.in")),
    ("README.md", include_str!("rust/README.md.in")),
    (".gitignore", "/target\n"),
];

const PYTHON_FILES: TemplateFiles = &[
    (
        "@folder@.plugin/plugin.toml",
        include_str!("python/plugin.toml.in"),
    ),
    (
        "@folder@.plugin/driver.py",
        include_str!("python/driver.py.in"),
    ),
    (
        "@folder@.plugin/example.toml",
        include_str!("example.toml.in"),
    ),
    ("tests/test_driver.py", include_str!("python/test.py.in")),
    ("README.md", include_str!("python/README.md.in")),
    (".gitignore", "__pycache__/\n"),
];

const RUST_NEXT_STEPS: &str = include_str!("rust/next-steps.in");
const PYTHON_NEXT_STEPS: &str = include_str!("python/next-steps.in");

#[derive(Debug, clap::Args)]
pub struct NewDriverArgs {
    /// Name in lower case, such as that of the product; names the folder and the model
    pub name: ProjectName,

    /// Language of the driver
    #[arg(long, default_value = "rust")]
    pub lang: DriverLanguage,
}

/// What a driver is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriverLanguage {
    /// A crate, built as a library
    Rust,
    /// A folder with a Python program
    Python,
}

pub(in crate::cli) fn run(args: &NewDriverArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let folder = PathBuf::from(args.name.to_string());
    let project = project(&args.name, args.lang);
    project.write(&folder)?;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "path": folder,
            "vendor": VENDOR,
            "model": args.name.to_string(),
            "library": library(&args.name, args.lang),
        }));
    }
    output.line(&project.next_steps)
}

/// The vendor of a new driver; the author replaces it.
const VENDOR: &str = "example";

fn project(name: &ProjectName, language: DriverLanguage) -> Project {
    let library = library(name, language);
    let (files, kit, next_steps) = match language {
        DriverLanguage::Rust => (RUST_FILES, ("sdk".to_owned(), sdk::FILES), RUST_NEXT_STEPS),
        DriverLanguage::Python => (
            PYTHON_FILES,
            (format!("{library}/delfin_plugin"), sdk::PYTHON),
            PYTHON_NEXT_STEPS,
        ),
    };
    let values = [
        ("@folder@", name.to_string()),
        ("@vendor@", VENDOR.to_owned()),
        ("@title@", name.title()),
        ("@type@", format!("{}Driver", name.camel_case())),
        ("@package@", format!("delfin-driver-{name}")),
        ("@library@", library),
        ("@copy@", COPY_LIBRARY.to_owned()),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, &**value));
    Project::new(files, kit, next_steps, |text| fill(text, &values))
}

/// The name of the library that the build creates, or of the folder of the plugin.
fn library(name: &ProjectName, language: DriverLanguage) -> String {
    match language {
        DriverLanguage::Rust => {
            let name = name.to_string().replace('-', "_");
            format!("{DLL_PREFIX}delfin_driver_{name}{DLL_SUFFIX}")
        }
        DriverLanguage::Python => format!("{name}.plugin"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::project::check_placeholders, *};

    #[test]
    fn every_placeholder_is_replaced_and_the_next_steps_name_the_driver() {
        let name = "big-lake".parse().unwrap();
        for (language, install) in [
            (DriverLanguage::Rust, "libdelfin_driver_big_lake"),
            (DriverLanguage::Python, "cp -r big-lake.plugin"),
        ] {
            let project = project(&name, language);
            check_placeholders(&project);
            let steps = &project.next_steps;
            assert!(steps.contains(install), "{steps}");
            assert!(steps.contains("storages add example big-lake "), "{steps}");
        }
    }
}
