//! Where the dynamic linker would look for a library. A likeness: the linker
//! itself has the last word when a plugin is opened.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::elf::Needs;

/// The folders in which the libraries of one file are looked for.
pub(crate) struct Search {
    /// They hold also for the copy that is opened.
    lasting: Vec<PathBuf>,
    /// They were named through `$ORIGIN`.
    beside: Vec<PathBuf>,
}

impl Search {
    pub(crate) fn of(needs: &Needs, path: &Path) -> Self {
        let origin = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let origin = origin.parent().unwrap_or(Path::new("/")).to_string_lossy();
        let mut search = Self {
            lasting: system_folders(),
            beside: Vec::new(),
        };
        let own = needs.runpath.as_ref().or(needs.rpath.as_ref());
        for folder in own.iter().flat_map(|folders| folders.split(':')) {
            let resolved = folder
                .replace("${ORIGIN}", &origin)
                .replace("$ORIGIN", &origin);
            let list = if resolved == folder {
                &mut search.lasting
            } else {
                &mut search.beside
            };
            list.push(PathBuf::from(resolved));
        }
        search
    }

    /// The libraries that are nowhere, and those that are beside the file alone.
    pub(crate) fn unresolved(&self, libraries: &[String]) -> (Vec<String>, Vec<String>) {
        let absent = |library: &&String| {
            if library.contains('/') {
                return !Path::new(library).exists();
            }
            !exists_in(&self.lasting, library)
        };
        let absent = libraries.iter().filter(absent).cloned();
        let (beside, missing) = absent.partition(|library| exists_in(&self.beside, library));
        (missing, beside)
    }
}

fn exists_in(folders: &[PathBuf], library: &str) -> bool {
    folders.iter().any(|folder| folder.join(library).exists())
}

fn system_folders() -> Vec<PathBuf> {
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

/// A folder a line, or `include` and a path whose last part may have a `*`.
fn read_conf(path: &Path, folders: &mut Vec<PathBuf>, depth: u32) {
    // A file that includes itself must not go on for ever.
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
    fn a_linker_configuration_names_folders_and_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let conf = folder.path().join("ld.so.conf");
        file("ld.so.conf", "/opt/a # ours\ninclude *.conf.d\nhwcap 0 x\n");
        file("b.conf.d", "  /opt/b\n");
        file("b.conf", "/opt/no\n");
        assert_eq!(folders(&conf), ["/opt/a", "/opt/b"].map(PathBuf::from));
    }

    #[test]
    fn a_configuration_that_includes_itself_comes_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("ld.so.conf");
        fs::write(&conf, "include ld.so.conf\n/opt/a\n").unwrap();
        assert!(folders(&conf).contains(&PathBuf::from("/opt/a")));
    }

    #[test]
    fn what_is_beside_the_file_is_told_from_what_is_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libbeside.so"), "").unwrap();
        let needs = Needs {
            libraries: ["libc.so.6", "libbeside.so", "libnowhere.so"]
                .map(String::from)
                .into(),
            runpath: Some("/opt/none:${ORIGIN}/.".to_owned()),
            ..Needs::default()
        };
        let search = Search::of(&needs, &folder.path().join("plugin.so"));
        let (missing, beside) = search.unresolved(&needs.libraries);
        assert_eq!(missing, ["libnowhere.so"]);
        assert_eq!(beside, ["libbeside.so"]);
    }
}
