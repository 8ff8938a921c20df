//! Why a file is refused as a plugin: one line with the file, the reason and the remedy.

use std::path::PathBuf;

use crate::{sha256::Sha256, trust::UntrustedFile};

/// A file or folder that is refused, and why. It never stops the other files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} `{}` {reason}", reason.subject(), path.display())]
pub struct PluginError {
    /// The path of the file or folder, as the caller passed it.
    pub path: PathBuf,
    /// The reason.
    pub reason: Reason,
}

/// Why a file or folder is refused. The text continues after the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of a reason says what it is")]
pub enum Reason {
    #[error("does not exist (create it, or correct `plugin_dirs`)")]
    FolderMissing,
    #[error("is not a folder (correct `plugin_dirs`)")]
    NotAFolder,
    #[error("cannot be read: {error} (give the host's user read access)")]
    FolderUnreadable { error: String },
    #[error("does not exist")]
    Missing,
    #[error("is a link to `{}`, which does not exist (remove the link, or put the file there)", target.display())]
    DanglingLink { target: PathBuf },
    #[error("is a directory (a plugin is a file, or a folder with the ending `.plugin`)")]
    Directory,
    #[error("is a file (a plugin with the ending `.plugin` is a folder with `plugin.toml`)")]
    NotAPluginFolder,
    #[error("has no `plugin.toml` (add it, or remove the folder)")]
    NoManifestFile,
    #[error("has a malformed `plugin.toml`: {error} (correct it)")]
    MalformedManifestFile { error: String },
    #[error("has more than {max_files} files or {max} bytes (remove what it does not need)")]
    FolderTooLarge { max_files: usize, max: u64 },
    #[error(
        "runs `{program}`, which is not a program on this machine (install it, or correct `command`)"
    )]
    NoProgram { program: String },
    #[error(
        "is a program, and this system runs only plugins that are libraries (remove it, or use it \
         with a host on Linux)"
    )]
    ProgramUnsupported,
    #[error(
        "runs only in a process of its own, not in a thread of the host (remove \
         `isolation = \"thread\"`)"
    )]
    OnlyProcess,
    #[error("is not a regular file")]
    NotRegular,
    #[error("cannot be read: {error} (give the host's user read access)")]
    Unreadable { error: String },
    #[error("is empty (copy it again)")]
    Empty,
    #[error("has {size} bytes, more than the limit of {max} (strip it: `strip --strip-debug`)")]
    TooLarge { size: u64, max: u64 },
    #[error("is not a shared library (remove it from the plugin folder)")]
    NotALibrary,
    #[error("is truncated (copy it again)")]
    Truncated,
    #[error("is damaged: {error} (copy it again)")]
    Damaged { error: String },
    #[error(
        "has no manifest: it is a library, but not a plugin (remove it from the plugin folder, or \
         declare its exporters with `export_plugin!`, or in C with `DELFIN_PLUGIN_MANIFEST`)"
    )]
    NoManifest,
    #[error(
        "has a malformed manifest: {error} (rebuild it with `export_plugin!`, or in C with `DELFIN_PLUGIN_MANIFEST`)"
    )]
    MalformedManifest { error: String },
    #[error("has a manifest of format {found}, this host reads {wanted} (update the host)")]
    NewerManifest { found: u32, wanted: u32 },
    #[error("was built for {found}, this host is {wanted} (rebuild it for {wanted})")]
    OtherTarget { found: String, wanted: String },
    #[error(
        "was built for plugin interface {found}, this host has {wanted}, and these are never \
         compatible (rebuild it for interface {wanted})"
    )]
    OtherMajor { found: String, wanted: String },
    #[error(
        "was built with `panic = \"abort\"`: its first panic would end the host (rebuild it with \
         `panic = \"unwind\"`)"
    )]
    PanicAbort,
    #[error(
        "needs glibc {needed}, this machine has {running} (build it on an older system, or update \
         this one)"
    )]
    NewerGlibc { needed: String, running: String },
    #[error("{0}")]
    Untrusted(UntrustedFile),
    #[error("changed since it was inspected (try again)")]
    Changed,
    #[error("has sha256 {found}, but {pinned} is pinned (correct `sha256`, or restore the file)")]
    OtherSha256 { found: Sha256, pinned: Sha256 },
    #[error("cannot be copied to `{}`: {error} (correct `plugin_cache_dir`)", to.display())]
    CacheUnusable { to: PathBuf, error: String },
    #[error(
        "cannot be opened from `{}`: that file system is mounted noexec (set `plugin_cache_dir` \
         to a folder elsewhere)",
        cache.display()
    )]
    CacheNoexec { cache: PathBuf },
    #[error(
        "needs the library `{library}`, which is not on this machine (install it, or link it \
         statically)"
    )]
    MissingLibrary { library: String },
    #[error(
        "needs the library `{library}`, which it looks for in its own folder ($ORIGIN), but \
         plugins are opened as copies in the plugin cache (install the library where the system \
         finds it, or link it statically)"
    )]
    OriginLibrary { library: String },
    #[error("cannot be opened: {error}")]
    Open { error: String },
    /// As the process says that has tried it.
    #[error("is unusable: {reason} (repair the plugin; the host tries it again)")]
    Unusable { reason: String },
    #[error(
        "exports no root module (rebuild it with `export_plugin!`; in C, define `delfin_plugin_v1` \
         with `DELFIN_EXPORT`)"
    )]
    NoRootModule,
    #[error(
        "has a table `delfin_plugin_v1` without `create`, `export_batch` or `destroy`, or with a \
         wrong `struct_size` (fill it in, and rebuild it)"
    )]
    IncompleteTable,
    #[error("{}", other_interface(found, wanted, differs_in))]
    OtherInterface {
        found: String,
        wanted: String,
        /// The type or function that differs.
        differs_in: String,
    },
    #[error("has a root module that fails: {error}")]
    RootModule { error: String },
}

impl Reason {
    /// The error for the file or folder at `path`.
    pub fn at(self, path: impl Into<PathBuf>) -> PluginError {
        PluginError {
            path: path.into(),
            reason: self,
        }
    }

    fn subject(&self) -> &'static str {
        let folder = matches!(
            self,
            Self::FolderMissing | Self::NotAFolder | Self::FolderUnreadable { .. }
        );
        if folder { "plugin folder" } else { "plugin" }
    }
}

/// Two interfaces of one version differ if someone has changed the sources of one of them.
fn other_interface(found: &str, wanted: &str, differs_in: &str) -> String {
    if found == wanted {
        return format!(
            "was built for a plugin interface that differs from this host's in `{differs_in}`, \
             although both are version {wanted} (rebuild it with the unchanged sources of \
             `delfin-plugin-abi {wanted}`, and abi_stable as they pin it)"
        );
    }
    format!(
        "was built for plugin interface {found}, which is not compatible with this host's {wanted}: \
         they differ in `{differs_in}` (rebuild it for interface {wanted}, or update the host)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_of_one_version_that_differ_are_not_told_apart_by_it() {
        let text = |found: &str| other_interface(found, "1.0.0", "Exporter::tick");
        let same = text("1.0.0");
        assert!(
            same.contains("differs from this host's in `Exporter::tick`"),
            "{same}"
        );
        assert!(
            same.contains("although both are version 1.0.0 (rebuild it with"),
            "{same}"
        );
        let other = text("1.2.0");
        assert!(
            other.contains("interface 1.2.0, which is not compatible with"),
            "{other}"
        );
        assert!(
            other.contains("they differ in `Exporter::tick` ("),
            "{other}"
        );
    }
}
