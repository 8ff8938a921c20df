//! Opens an inspected plugin: who could have written it, a copy of what was
//! read, a trial in a process of its own, and only then this process.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use abi_stable::std_types::{RResult, RStr};
use delfin_plugin_abi::{ExporterBox, ExtensionBox, HostBox, Outcome, PluginRef};

use crate::{
    cache::Shelf,
    check::check,
    distrust,
    inspect::{Content, Inspection},
    library,
    manifest::Manifest,
    probe::{Probe, try_out},
    refusal::{Reason, Refusal},
    sha256::Sha256,
};

/// How a plugin is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where the copies are that are opened; made if it is not there.
    pub cache_dir: PathBuf,
    /// How a plugin is tried before it is opened for the first time.
    pub probe: Probe,
    /// The content that the configuration insists on.
    pub sha256: Option<Sha256>,
}

impl OpenOptions {
    /// Copies go to that folder; nothing is tried, and no content insisted on.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            probe: Probe::None,
            sha256: None,
        }
    }
}

/// A plugin whose code is part of this process, until that ends.
#[derive(Clone)]
pub struct OpenPlugin {
    inspection: Inspection,
    copy: PathBuf,
    module: PluginRef,
}

impl OpenPlugin {
    /// What was known of it before it was opened.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }

    /// The copy that was opened.
    #[must_use]
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// The root module, for what the methods here do not offer.
    #[must_use]
    pub fn module(&self) -> PluginRef {
        self.module
    }

    /// Makes the exporter of that name, with its settings as JSON text.
    ///
    /// # Errors
    /// What the plugin has against it: `retry` where it may work later, `pause`
    /// where the settings are wrong.
    pub fn create_exporter(
        &self,
        name: &str,
        config: &str,
        host: HostBox,
    ) -> Result<ExporterBox, Outcome> {
        let create = self.module.create_exporter();
        match create(RStr::from_str(name), RStr::from_str(config), host) {
            RResult::ROk(exporter) => Ok(exporter),
            RResult::RErr(outcome) => Err(outcome),
        }
    }

    /// Something that not every plugin offers, by name.
    #[must_use]
    pub fn get_extension(&self, id: &str) -> Option<ExtensionBox> {
        self.module.get_extension()(RStr::from_str(id)).into_option()
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

/// Opens a plugin, which runs its code. The same content may be opened again.
///
/// # Errors
/// Where the plugin does not fit, is not to be trusted, or cannot be opened.
pub fn open(plugin: &Inspection, options: &OpenOptions) -> Result<OpenPlugin, Refusal> {
    check(plugin)?;
    let opened = copy(plugin, options).and_then(|(shelf, copy)| {
        try_out(&options.probe, &shelf, &copy)?;
        let module = library::load(&copy, &plugin.manifest.abi)?;
        Ok(OpenPlugin {
            inspection: plugin.clone(),
            copy,
            module,
        })
    });
    opened.map_err(|reason| explain(plugin, reason).of(&plugin.path))
}

/// Takes a copy of exactly what is trusted: owner, mode and bytes come from one
/// descriptor, whatever happens to the path meanwhile.
fn copy(plugin: &Inspection, options: &OpenOptions) -> Result<(Shelf, PathBuf), Reason> {
    let content = Content::read(&plugin.path)?;
    distrust::check(&plugin.path, &content.metadata).map_err(Reason::Distrusted)?;
    let found = Sha256::of(&content.bytes);
    match options.sha256 {
        Some(pinned) if pinned != found => return Err(Reason::OtherSha256 { found, pinned }),
        Some(_) | None => {}
    }
    // What was checked is what was inspected.
    if found != plugin.sha256 {
        return Err(Reason::Changed);
    }
    let shelf = Shelf::new(&options.cache_dir, found)?;
    let copy = shelf.place(&plugin.library(), &content.bytes)?;
    Ok((shelf, copy))
}

fn explain(plugin: &Inspection, reason: Reason) -> Reason {
    match reason {
        Reason::MissingLibrary { library } if plugin.image.beside.contains(&library) => {
            Reason::OriginLibrary { library }
        }
        other => other,
    }
}

// Workers of many exporters share one plugin.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<OpenPlugin>();
};
