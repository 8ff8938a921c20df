//! Opens an inspected plugin in three steps: the trust check, a copy of the checked bytes,
//! and the library opened in this process. [`prepare`] does all but the last one.
//!
//! The constructors of a library run when it is opened: a host tries that in another process
//! first.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use delfin_plugin_abi::{ExporterBox, ExtensionBox, HostBox, Outcome};

use crate::{
    cache::CacheFolder,
    check::check,
    error::{PluginError, Reason},
    folder::{self, PreparedCommand},
    hashes::FileHashes,
    inspect::{Inspection, PluginFile, inspect},
    library,
    manifest::Manifest,
    module::PluginModule,
    sha256::Sha256,
    trust,
};

/// Options of [`open`].
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The plugin cache, which holds the copies that are opened. It is created if it does
    /// not exist.
    pub cache_dir: PathBuf,
    /// The hash that the configuration pins, if any. A file with another hash is refused.
    pub sha256: Option<Sha256>,
    /// The hashes of files that were read before.
    pub hashes: Arc<FileHashes>,
}

impl OpenOptions {
    /// Options with this plugin cache, and without a pinned hash.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            sha256: None,
            hashes: Arc::default(),
        }
    }
}

/// A plugin that can be used: a trusted copy of a library, or a trusted command.
/// It is not open in this process.
#[derive(Debug, Clone)]
pub struct PreparedPlugin {
    inspection: Inspection,
    program: PluginProgram,
}

/// What a process of a plugin runs.
#[derive(Debug, Clone)]
pub enum PluginProgram {
    /// A library.
    Library(LibraryCopy),
    /// A command of its own.
    Command(PreparedCommand),
}

/// The copy of a library in the plugin cache.
#[derive(Debug, Clone)]
pub struct LibraryCopy {
    path: PathBuf,
    file: Arc<File>,
}

impl LibraryCopy {
    /// The copy, for another process that opens it by its descriptor: see [`load`].
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl PreparedPlugin {
    /// The inspection of the file.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// What a process of the plugin runs.
    #[must_use]
    pub fn program(&self) -> &PluginProgram {
        &self.program
    }

    /// Opens the copy in this process, which runs its code.
    ///
    /// # Errors
    ///
    /// The plugin is not a library, or it cannot be opened, or has another interface.
    pub fn open(&self) -> Result<OpenPlugin, PluginError> {
        let copy = match &self.program {
            PluginProgram::Library(copy) => &copy.path,
            PluginProgram::Command(_) => {
                return Err(Reason::OnlyProcess.at(&self.inspection.path));
            }
        };
        let module = library::load(copy, &self.inspection.manifest.abi);
        let module = module.map_err(|reason| self.inspection.explain(reason));
        Ok(OpenPlugin {
            inspection: self.inspection.clone(),
            copy: copy.clone(),
            module: module.map_err(|reason| reason.at(&self.inspection.path))?,
        })
    }
}

/// A plugin that is open. It stays open until the process ends.
#[derive(Clone)]
pub struct OpenPlugin {
    inspection: Inspection,
    copy: PathBuf,
    module: PluginModule,
}

impl OpenPlugin {
    /// The inspection of the file.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// The manifest of the plugin.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }

    /// The path of the copy that is open.
    #[must_use]
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// The functions of the library.
    #[must_use]
    pub fn module(&self) -> PluginModule {
        self.module
    }

    /// Makes an instance of an exporter. `config` is the settings as JSON text.
    ///
    /// # Errors
    ///
    /// The outcome of the plugin: of class `retry` if it may succeed later, `pause` if
    /// the settings are wrong.
    pub fn create_exporter(
        &self,
        name: &str,
        config: &str,
        host: HostBox,
    ) -> Result<ExporterBox, Outcome> {
        self.module.create_exporter(name, config, host)
    }

    /// An extension, if the plugin has it.
    #[must_use]
    pub fn get_extension(&self, id: &str) -> Option<ExtensionBox> {
        self.module.get_extension(id)
    }
}

impl fmt::Debug for OpenPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenPlugin")
            .field("path", &self.inspection.path)
            .field("copy", &self.copy)
            .finish_non_exhaustive()
    }
}

/// Opens a plugin, which runs its code. A file may be opened several times.
///
/// # Errors
///
/// The plugin is not compatible, is not trusted, has changed since it was inspected, or
/// cannot be opened.
pub fn open(plugin: &Inspection, options: &OpenOptions) -> Result<OpenPlugin, PluginError> {
    prepare(plugin, options)?.open()
}

/// Checks and copies a plugin. Runs none of its code. A plugin that is a folder is not copied.
///
/// # Errors
///
/// The plugin is not compatible, is not trusted, or has changed since it was inspected.
pub fn prepare(plugin: &Inspection, options: &OpenOptions) -> Result<PreparedPlugin, PluginError> {
    check(plugin)?;
    let program = match &plugin.manifest.command {
        Some(command) => {
            folder::prepare(plugin, command, options.sha256).map(PluginProgram::Command)
        }
        None => prepare_library(plugin, options).map(PluginProgram::Library),
    };
    Ok(PreparedPlugin {
        inspection: plugin.clone(),
        program: program.map_err(|reason| reason.at(&plugin.path))?,
    })
}

fn prepare_library(plugin: &Inspection, options: &OpenOptions) -> Result<LibraryCopy, Reason> {
    let path = copy(plugin, options)?;
    let file = File::open(&path).map_err(|error| Reason::CacheUnusable {
        to: path.clone(),
        error: error.to_string(),
    })?;
    let file = Arc::new(file);
    Ok(LibraryCopy { path, file })
}

/// Opens a library that another process has prepared. `built_for` is the interface
/// version in its manifest.
///
/// # Errors
///
/// The library cannot be opened, or has another interface.
pub fn load(library: &Path, built_for: &str) -> Result<PluginModule, Reason> {
    library::load(library, built_for).map_err(|reason| match inspect(library) {
        Ok(inspection) => inspection.explain(reason),
        Err(_) => reason,
    })
}

/// Copies exactly the bytes that are trusted: owner, mode and bytes come from one
/// descriptor, so that it does not matter if the path changes meanwhile.
fn copy(plugin: &Inspection, options: &OpenOptions) -> Result<PathBuf, Reason> {
    let PluginFile { file, metadata } = PluginFile::open(&plugin.path)?;
    trust::check(&plugin.path, &metadata).map_err(Reason::Untrusted)?;
    let found = match options.sha256 {
        // The one who pins a hash trusts nothing else, so the bytes count.
        Some(pinned) => {
            let found = options.hashes.of_content(&file, &metadata)?;
            if pinned != found {
                return Err(Reason::OtherSha256 { found, pinned });
            }
            found
        }
        None => options.hashes.of(&file, &metadata)?,
    };
    // The checks of the caller are about the inspected bytes.
    if found != plugin.sha256 {
        return Err(Reason::Changed);
    }
    let folder = CacheFolder::new(&options.cache_dir, found)?;
    let copy = folder.store(&plugin.library(), &file, &options.hashes);
    options.hashes.save();
    copy
}

// The exporters of a plugin share it across threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<OpenPlugin>();
};
