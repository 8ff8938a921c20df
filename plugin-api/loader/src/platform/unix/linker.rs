//! The folders in which the dynamic linker looks for a library, by its configuration.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{elf::Needs, platform::OwnFolders};

/// The folders for every file.
pub(crate) fn system_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(list) = env::var_os("LD_LIBRARY_PATH") {
        folders.extend(env::split_paths(&list));
    }
    read_conf(Path::new("/etc/ld.so.conf"), &mut folders, 0);
    let multiarch = format!("{}-linux-gnu", env::consts::ARCH);
    for prefix in ["", "/usr", "/usr/local"] {
        let lib = PathBuf::from(format!("{prefix}/lib"));
        folders.push(PathBuf::from(format!("{prefix}/lib64")));
        folders.push(lib.join(&multiarch));
        folders.push(lib);
    }
    folders
}

/// The folders that a file at this path names. Those with `$ORIGIN` are relative to the file.
pub(crate) fn own_folders(needs: &Needs, path: &Path) -> OwnFolders {
    let origin = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let origin = origin.parent().unwrap_or(Path::new("/")).to_string_lossy();
    let mut folders = OwnFolders::default();
    let own = needs.runpath.as_ref().or(needs.rpath.as_ref());
    for folder in own.iter().flat_map(|list| list.split(':')) {
        let resolved = folder
            .replace("${ORIGIN}", &origin)
            .replace("$ORIGIN", &origin);
        let list = if resolved == folder {
            &mut folders.fixed
        } else {
            &mut folders.by_origin
        };
        list.push(PathBuf::from(resolved));
    }
    folders
}

/// Whether a library needs no file: none.
pub(crate) const fn is_part_of_system(_: &str) -> bool {
    false
}

/// Reads a configuration of the linker. Each line is a folder, or `include` and a path
/// whose last part may have one `*`.
fn read_conf(path: &Path, folders: &mut Vec<PathBuf>, depth: u32) {
    // A file may include itself.
    if depth > 4 {
        return;
    }
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include ") {
            Some(pattern) => {
                for included in matching(&path.with_file_name(""), pattern.trim()) {
                    read_conf(&included, folders, depth + 1);
                }
            }
            None if line.starts_with('/') => folders.push(PathBuf::from(line)),
            None => {}
        }
    }
}

fn matching(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern = base.join(pattern);
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, end)) = name.split_once('*') else {
        return vec![pattern];
    };
    let Some(Ok(entries)) = pattern.parent().map(fs::read_dir) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.path());
    names
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(conf: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        read_conf(conf, &mut folders, 0);
        folders
    }

    #[test]
    fn a_linker_configuration_names_folders_and_includes_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let conf = folder.path().join("ld.so.conf");
        file("ld.so.conf", "/opt/a # ours\ninclude *.conf.d\nhwcap 0 x\n");
        file("b.conf.d", "  /opt/b\n");
        file("b.conf", "/opt/no\n");
        assert_eq!(folders(&conf), ["/opt/a", "/opt/b"].map(PathBuf::from));
    }

    #[test]
    fn a_configuration_that_includes_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("ld.so.conf");
        fs::write(&conf, "include ld.so.conf\n/opt/a\n").unwrap();
        assert!(folders(&conf).contains(&PathBuf::from("/opt/a")));
    }
}
