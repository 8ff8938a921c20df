//! Opens a library and gets its functions. Only this file opens libraries; `c_plugin` calls
//! those in C.
//!
//! Promises: an open library stays mapped until the process ends, so that no reference
//! into it dangles; its root module is used only after its layout was compared with
//! that of this host, type by type.

#![expect(
    unsafe_code,
    reason = "opening a library and reading its symbols cannot be checked by the compiler"
)]

use std::{error::Error, mem::ManuallyDrop, path::Path};

use abi_stable::{
    StableAbi,
    library::{AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME, RootModule},
};
use delfin_plugin_abi::{PluginRef, VERSION};
use delfin_plugin_c::{CPlugin, SYMBOL};

use crate::{
    c_plugin::CModule,
    error::Reason,
    layout,
    module::PluginModule,
    platform::{Library, missing_library, open_library},
};

/// Opens a library, which runs its constructors, and gets its functions: the root module, or
/// the table of the C interface if it has no root module. `built_for` is the interface version
/// in its manifest.
pub(crate) fn load(path: &Path, built_for: &str) -> Result<PluginModule, Reason> {
    // SAFETY: this runs the library's constructors, and is as safe as they are. The
    // caller has checked that only root and the host's user can write the file. A host
    // has run the constructors in another process before.
    let library = unsafe { open_library(path) };
    let library = library.map_err(|error| open_failed(path, &error))?;
    // Never closed: thread-local destructors and threads of the plugin would lose their
    // code.
    let library = ManuallyDrop::new(library);

    // SAFETY: the symbol is a `LibHeader`, which begins with an `AbiHeader`. The library
    // has a manifest, and the macro that writes it defines this symbol as well.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME) };
    let Ok(header) = header else {
        return c_module(&library);
    };
    let header = header.upgrade().map_err(|error| {
        log::debug!(plugin:% = path.display(); "{error}");
        other_interface(built_for, "abi_stable")
    })?;
    root_module(path, header, built_for).map(PluginModule::rust)
}

fn c_module(library: &Library) -> Result<PluginModule, Reason> {
    // SAFETY: the symbol is a `CPlugin`: its name says so.
    let table = unsafe { library.get::<*const CPlugin>(SYMBOL.as_bytes()) };
    let table = table.map_err(|_| Reason::NoRootModule)?;
    // SAFETY: the library is never closed. The address of a symbol is that of the table.
    unsafe { CModule::read(table.as_raw_ptr().cast::<CPlugin>()) }.map(PluginModule::c)
}

fn root_module(
    path: &Path,
    header: &'static LibHeader,
    built_for: &str,
) -> Result<PluginRef, Reason> {
    let layout = header
        .layout()
        .ok_or_else(|| other_interface(built_for, "Plugin"))?;
    layout::check_either_way(PluginRef::LAYOUT, layout).map_err(|difference| {
        log::debug!(plugin:% = path.display(); "{}", difference.explanation);
        other_interface(built_for, &difference.place)
    })?;
    // SAFETY: `check_either_way` has just accepted the layouts.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<PluginRef>() };
    module.map_err(|error| {
        log::debug!(plugin:% = path.display(), module = PluginRef::NAME; "{error}");
        let text = match error {
            LibraryError::RootModule { err, .. } => err.to_string(),
            other => other.to_string(),
        };
        Reason::RootModule {
            error: text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    })
}

fn other_interface(built_for: &str, differs_in: &str) -> Reason {
    Reason::OtherInterface {
        found: built_for.to_owned(),
        wanted: VERSION.to_owned(),
        differs_in: differs_in.to_owned(),
    }
}

/// The error of the dynamic linker, without the path of the copy, which means nothing
/// to the operator.
fn open_failed(path: &Path, error: &libloading::Error) -> Reason {
    let error = match error.source() {
        Some(linker) => linker.to_string(),
        None => error.to_string(),
    };
    if let Some(library) = missing_library(&error)
        && Path::new(library) != path
    {
        let library = library.to_owned();
        return Reason::MissingLibrary { library };
    }
    let error = error.replace(&format!("{}: ", path.display()), "");
    Reason::Open { error }
}
