//! `conformance`: runs the tests that every exporter and every driver must pass on a plugin.
//!
//! A library is opened in the process of the command: it does nothing else.

use std::path::{Path, PathBuf};

use delfin_plugin_api::testkit;
use delfin_plugin_loader::inspect;
use serde_json::{Map, Value};

use super::{error::Error, output::Output, try_plugin::parse_setting};
use crate::panics;

/// The placeholder of an empty folder in a setting. Each instance has its own folder.
const FOLDER: &str = "{folder}";

#[derive(Debug, clap::Args)]
pub struct ConformanceArgs {
    /// Plugin file, or folder of a plugin with drivers
    #[arg(value_name = "FILE")]
    pub plugin: PathBuf,

    /// Setting of each exporter or option of the storage of each driver, with a value as in TOML;
    /// `{folder}` in a text is an empty folder (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub set: Vec<(String, Value)>,
}

/// Why the plugin was not tested, or the test failed.
#[derive(Debug, thiserror::Error)]
enum ConformanceError {
    #[error("`{}` does not conform: the message above says which test failed", plugin.display())]
    Failed { plugin: PathBuf },
    #[error(
        "`{plugin}` is a program without drivers (test its exporters with `python3 -m delfin_plugin.test {plugin}`)",
        plugin = plugin.display()
    )]
    ProgramOfExporters { plugin: PathBuf },
}

pub(super) fn run(args: &ConformanceArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let manifest = inspect(&args.plugin).map_err(Error::failed)?.manifest;
    let (is_program, has_drivers) = (manifest.command.is_some(), !manifest.drivers.is_empty());
    let plugin = args.plugin.clone();
    if is_program && !has_drivers {
        return Err(Error::failed(ConformanceError::ProgramOfExporters {
            plugin,
        }));
    }
    // The suite panics at the first test that fails, and the hook prints the message.
    let result = panics::catch(|| {
        if !is_program {
            testkit::conformance_of(&plugin, |_, folder| fill(&args.set, folder));
        }
        if has_drivers {
            testkit::driver_conformance_of(&plugin, |_, _, folder| fill(&args.set, folder));
        }
    });
    if result.is_none() {
        return Err(Error::failed(ConformanceError::Failed { plugin }));
    }
    if output.is_json() {
        return output.json(&serde_json::json!({ "conforms": true }));
    }
    output.line(&format!("{}: every test passed", args.plugin.display()))
}

fn fill(set: &[(String, Value)], folder: &Path) -> Value {
    let folder = folder.display().to_string();
    let filled = set.iter().map(|(key, value)| {
        let value = match value {
            Value::String(text) => Value::from(text.replace(FOLDER, &folder)),
            other => other.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(filled.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_has_its_own_folder_in_its_settings() {
        let set = [
            ("path".to_owned(), Value::from("{folder}/out")),
            ("n".to_owned(), Value::from(7)),
        ];
        let expected = serde_json::json!({ "path": "/tmp/1/out", "n": 7 });
        assert_eq!(fill(&set, Path::new("/tmp/1")), expected);
    }
}
