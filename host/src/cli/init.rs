//! `init`: writes a configuration for production.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{error::Error, output::Output};
use crate::{
    config,
    platform::{FileReaders, OpenRestricted, create_folders},
};

#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// File to write, `-` for standard output
    #[arg(value_name = "FILE", default_value_os_t = config::system_path())]
    pub file: PathBuf,

    /// Folder with plugins
    #[arg(long, value_name = "FOLDER")]
    pub plugin_dir: Option<PathBuf>,

    /// Folder for the state of the host
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,

    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}

/// Why the file was not written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("`{}` already exists (use `--force` to replace it)", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(super) fn run(args: &InitArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let text = config::sample(args.plugin_dir.as_deref(), args.state_dir.as_deref());
    if args.file == Path::new("-") {
        return output.text(&text);
    }
    write(&args.file, &text, args.force).map_err(Error::failed)?;
    let path = args.file.display();
    if output.is_json() {
        return output.json(&serde_json::json!({ "path": args.file }));
    }
    output.line(&format!(
        "wrote {path}\n\nEdit it, then check it and start the host:\n\n  delfin-host check --config {path}\n  delfin-host run --config {path}"
    ))
}

/// Other users cannot read the file, because it may get secrets.
fn write(path: &Path, text: &str, force: bool) -> Result<(), InitError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists {
            path: path.to_owned(),
        },
        _ => InitError::Write {
            path: path.to_owned(),
            source,
        },
    };
    if let Some(folder) = path.parent() {
        create_folders(folder, FileReaders::Group).map_err(failed)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(!force)
        .create(force)
        .truncate(force)
        .readable_by(FileReaders::Group)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/delfin.conf");
        write(&path, "a = 1", false).unwrap();
        let error = write(&path, "b", false).unwrap_err();
        assert!(matches!(error, InitError::Exists { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1");
        write(&path, "b", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
    }
}
