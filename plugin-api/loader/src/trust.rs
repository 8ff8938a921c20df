//! The trust check: refuses a plugin file that other users can write.
//!
//! A plugin runs with the permissions of the host. So only root and the host's user
//! may be able to change the file or to replace it: the check looks at owner and mode
//! of the file and of its folder, or at owner and access list.

use std::{
    fmt,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
};

use crate::platform::{Correction, Writer, remedy, writer_of};

/// Why another user could have written a file. The text continues after the path of
/// the plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of a reason says what it is")]
pub enum UntrustedFile {
    #[error("can be changed by other users: {}", PathList { paths, root: None })]
    Writable { paths: Vec<WritablePath> },
    /// The plugin is a folder. Names the first paths.
    #[error("can be changed by other users: {}", PathList { paths, root: Some(folder) })]
    WritableFolder {
        folder: PathBuf,
        paths: Vec<WritablePath>,
    },
    #[error("is in a folder that cannot be read: {error}")]
    Unknown { error: String },
}

/// The file, or a folder of it, that another user can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritablePath {
    /// As the caller passed it, or a folder of it.
    pub path: PathBuf,
    /// What it is to the plugin.
    pub role: PathRole,
    /// Who can write it.
    pub by: Writer,
}

/// What a path is to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRole {
    /// The file of the plugin, or its folder if the plugin is a folder.
    Plugin,
    /// A folder that has the plugin, or a part of it.
    Folder,
    /// A file of a plugin that is a folder.
    File,
    /// The program that a plugin runs.
    Program,
}

/// Checks the open file and its folder. If the path is a link, it checks the folder of
/// the link and that of its target: a user who can write to either can replace the file.
pub(crate) fn check(path: &Path, file: &Metadata) -> Result<(), UntrustedFile> {
    trusted_unless_any(writers(path, file)?)
}

/// As [`check`], for a plugin that is a folder, with what other users can write in it.
pub(crate) fn check_tree(
    folder: &Path,
    metadata: &Metadata,
    inside: &[WritablePath],
) -> Result<(), UntrustedFile> {
    let mut paths = writers(folder, metadata)?;
    paths.extend_from_slice(inside);
    if paths.is_empty() {
        return Ok(());
    }
    Err(UntrustedFile::WritableFolder {
        folder: folder.to_owned(),
        paths,
    })
}

fn writers(path: &Path, file: &Metadata) -> Result<Vec<WritablePath>, UntrustedFile> {
    let target = path.canonicalize().map_err(unknown)?;
    let mut paths: Vec<WritablePath> = Vec::new();
    paths.extend(find_writer(path, file, PathRole::Plugin).map_err(unknown)?);
    let mut folders = vec![folder_of(path)];
    if path.is_symlink() {
        folders.push(folder_of(&target));
    }
    for folder in folders {
        let metadata = folder.metadata().map_err(unknown)?;
        paths.extend(find_writer(folder, &metadata, PathRole::Folder).map_err(unknown)?);
    }
    Ok(paths)
}

/// Checks the program that a plugin runs, and its folder.
pub(crate) fn check_program(program: &Path) -> Result<(), UntrustedFile> {
    let target = program.canonicalize().map_err(unknown)?;
    let mut paths = Vec::new();
    let metadata = target.metadata().map_err(unknown)?;
    paths.extend(find_writer(&target, &metadata, PathRole::Program).map_err(unknown)?);
    let folder = folder_of(&target);
    let metadata = folder.metadata().map_err(unknown)?;
    paths.extend(find_writer(folder, &metadata, PathRole::Folder).map_err(unknown)?);
    trusted_unless_any(paths)
}

/// Checks a folder from which libraries are opened.
pub(crate) fn check_folder(folder: &Path) -> Result<(), UntrustedFile> {
    let metadata = folder.metadata().map_err(unknown)?;
    let writable = find_writer(folder, &metadata, PathRole::Folder).map_err(unknown)?;
    trusted_unless_any(writable.into_iter().collect())
}

fn trusted_unless_any(paths: Vec<WritablePath>) -> Result<(), UntrustedFile> {
    if paths.is_empty() {
        Ok(())
    } else {
        Err(UntrustedFile::Writable { paths })
    }
}

/// The sticky bit of a folder is no excuse: it stops other users from replacing a file,
/// but not from adding one.
pub(crate) fn find_writer(
    path: &Path,
    metadata: &Metadata,
    role: PathRole,
) -> io::Result<Option<WritablePath>> {
    let by = writer_of(path, metadata)?;
    Ok(by.map(|by| WritablePath {
        path: path.to_owned(),
        role,
        by,
    }))
}

/// All paths, and the commands that correct them.
struct PathList<'a> {
    paths: &'a [WritablePath],
    /// The commands correct everything in this folder.
    root: Option<&'a Path>,
}

impl fmt::Display for PathList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut corrections = Vec::new();
        for (index, WritablePath { path, role, by }) in self.paths.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", and " })?;
            match role {
                PathRole::Plugin => f.write_str("it ")?,
                PathRole::Folder => write!(f, "its folder `{}` ", path.display())?,
                PathRole::File => write!(f, "its file `{}` ", path.display())?,
                PathRole::Program => write!(f, "its program `{}` ", path.display())?,
            }
            write!(f, "{by}")?;
            let root = self.root.filter(|root| path.starts_with(root));
            corrections.push(Correction {
                path: root.unwrap_or(path),
                by,
                recursive: root.is_some(),
            });
        }
        write!(f, " ({})", remedy(&corrections))
    }
}

pub(crate) fn unknown(error: io::Error) -> UntrustedFile {
    UntrustedFile::Unknown {
        error: error.to_string(),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn others(mode: u32) -> Writer {
        Writer::Mode(mode)
    }

    fn owner(uid: u32) -> Writer {
        Writer::Owner {
            user: format!("user {uid}"),
        }
    }

    #[test]
    fn the_text_names_every_path_with_the_commands_that_correct_it() {
        let path = |path: &str, role, by| WritablePath {
            path: path.into(),
            role,
            by,
        };
        let untrusted = UntrustedFile::Writable {
            paths: vec![
                path("p/x y.so", PathRole::Plugin, others(0o775)),
                path("p", PathRole::Folder, others(0o777)),
                path("/q", PathRole::Folder, owner(7)),
            ],
        };
        assert_eq!(
            untrusted.to_string(),
            "can be changed by other users: it has mode 0775, and its folder `p` has mode 0777, and \
             its folder `/q` belongs to user 7 (chown root /q; chmod go-w 'p/x y.so' p)"
        );
    }

    #[test]
    fn a_plugin_that_is_a_folder_is_corrected_as_a_whole() {
        let path = |path: &str, role| WritablePath {
            path: path.into(),
            role,
            by: others(0o775),
        };
        let untrusted = UntrustedFile::WritableFolder {
            folder: "p/a.plugin".into(),
            paths: vec![
                path("p/a.plugin", PathRole::Plugin),
                path("p", PathRole::Folder),
                path("p/a.plugin/program.py", PathRole::File),
            ],
        };
        assert_eq!(
            untrusted.to_string(),
            "can be changed by other users: it has mode 0775, and its folder `p` has mode 0775, and \
             its file `p/a.plugin/program.py` has mode 0775 (chmod -R go-w p/a.plugin; chmod go-w p)"
        );
    }

    #[test]
    fn a_bare_file_name_is_in_the_current_folder() {
        assert_eq!(folder_of(Path::new("x.so")), Path::new("."));
        assert_eq!(folder_of(Path::new("/p/x.so")), Path::new("/p"));
    }
}
