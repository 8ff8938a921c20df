//! `man-pages`: writes a manual page for each command.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::CommandFactory;

use super::{Cli, error::Error, output::Output};

#[derive(Debug, clap::Args)]
pub struct ManPagesArgs {
    /// Folder to write the pages to; it is created
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Why the pages were not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write manual pages to `{}`", folder.display())]
struct ManPagesError {
    folder: PathBuf,
    source: io::Error,
}

pub(super) fn run(args: &ManPagesArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let folder = &args.folder;
    write(folder).map_err(|source| {
        let folder = folder.clone();
        Error::failed(ManPagesError { folder, source })
    })?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "path": folder }));
    }
    output.line(&format!("wrote manual pages to {}", folder.display()))
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_hidden_ones_have_none() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let page = |name: &str| fs::read_to_string(folder.path().join(name));
        let main = page("delfin-host.1").unwrap();
        assert!(main.contains("Load exporters"), "{main}");
        assert!(page("delfin-host-storages-add.1").unwrap().contains("NAME"));
        assert!(page("delfin-host-run.1").is_ok());
        let hidden = format!("delfin-host-{}.1", crate::plugin::EXPORTER_COMMAND);
        assert!(page(&hidden).is_err());
    }
}
