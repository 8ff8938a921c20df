//! `new exporter`: a project with a working exporter.

use std::path::PathBuf;

use clap::ValueEnum;
use delfin_plugin_api::Kind;

use self::template::ProjectTemplate;
use super::name::ProjectName;
use crate::cli::{error::Error, output::Output};

mod native;
mod template;

#[derive(Debug, clap::Args)]
pub struct NewExporterArgs {
    /// Name in lower case, such as that of the receiver; names the folder and the exporter
    pub name: ProjectName,

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

impl From<ExporterKind> for Kind {
    fn from(kind: ExporterKind) -> Self {
        match kind {
            ExporterKind::Performance => Self::Performance,
            ExporterKind::Alert => Self::Alert,
        }
    }
}

pub(in crate::cli) fn run(args: &NewExporterArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let template = ProjectTemplate::new(&args.name, args.kind.into(), args.lang);
    let folder = PathBuf::from(args.name.to_string());
    let project = template.project();
    project.write(&folder)?;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "path": folder,
            "exporter": template.exporter(),
            "library": template.library(),
        }));
    }
    output.line(&project.next_steps)
}

#[cfg(test)]
mod tests {
    use super::{super::project::check_placeholders, *};

    #[test]
    fn the_next_steps_name_the_library_the_exporter_and_its_list() {
        let name = "big-lake".parse().unwrap();
        let steps = ProjectTemplate::new(&name, Kind::Performance, Language::Rust)
            .project()
            .next_steps;
        let steps = steps.replace(std::env::consts::DLL_SUFFIX, ".so");
        insta::assert_snapshot!(steps);
        let steps = ProjectTemplate::new(&name, Kind::Alert, Language::Python)
            .project()
            .next_steps;
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
            check_placeholders(&template.project());
        }
    }
}
