//! Checks whether a plugin is compatible with this host, as far as possible without
//! opening it.

use delfin_plugin_abi::VERSION;
use delfin_plugin_c::MANIFEST_PREFIX;

use crate::{
    error::{PluginError, Reason},
    folder::{self, PluginCommand},
    image::native_format,
    inspect::Inspection,
    manifest::{Manifest, ManifestDriver},
    platform::{RUNS_PROGRAMS, running_glibc},
};

/// The target that this host is built for.
pub const TARGET: &str = env!("TARGET");

/// The kinds of access data of a storage.
const ACCESS: [&str; 4] = ["rest", "ssh", "cli", "smis"];

/// Checks whether a plugin is compatible with this host, as far as possible without
/// opening it. It does not use the result of the trust check: see [`accept`].
///
/// # Errors
///
/// The first difference that makes the plugin incompatible.
pub fn check(plugin: &Inspection) -> Result<(), PluginError> {
    let checks = || {
        if let Some(command) = &plugin.manifest.command {
            return check_folder(plugin, command);
        }
        check_target(plugin)?;
        check_interface(&plugin.manifest)?;
        check_names(&plugin.manifest).map_err(malformed)?;
        if plugin.manifest.c_version().is_none() && plugin.manifest.panic != "unwind" {
            return Err(Reason::PanicAbort);
        }
        check_glibc(plugin)
    };
    checks().map_err(|reason| reason.at(&plugin.path))
}

/// Checks whether this host would open a plugin: it is compatible and trusted.
///
/// # Errors
///
/// The plugin is not compatible, or other users can write its file.
pub fn accept(plugin: &Inspection) -> Result<(), PluginError> {
    check(plugin)?;
    let trust = plugin.trust.clone();
    trust.map_err(|untrusted| Reason::Untrusted(untrusted).at(&plugin.path))
}

fn check_folder(plugin: &Inspection, command: &PluginCommand) -> Result<(), Reason> {
    if !RUNS_PROGRAMS {
        return Err(Reason::ProgramUnsupported);
    }
    let malformed = |error| Reason::MalformedManifestFile { error };
    version("version", &plugin.manifest.version).map_err(malformed)?;
    check_names(&plugin.manifest).map_err(malformed)?;
    folder::program(&plugin.path, command).map(drop)
}

fn malformed(error: String) -> Reason {
    Reason::MalformedManifest { error }
}

fn check_target(plugin: &Inspection) -> Result<(), Reason> {
    let (image, manifest) = (&plugin.image, &plugin.manifest);
    let other = |found: &str| {
        Err(Reason::OtherTarget {
            found: found.to_owned(),
            wanted: TARGET.to_owned(),
        })
    };
    if image.architecture != std::env::consts::ARCH || image.format != native_format() {
        return other(&format!("{} ({})", image.architecture, image.format));
    }
    if manifest.c_version().is_none() && platform(&manifest.target) != platform(TARGET) {
        return other(&manifest.target);
    }
    Ok(())
}

/// The architecture and the system of a target triple. The vendor does not affect
/// compatibility.
fn platform(target: &str) -> (&str, &str) {
    let (architecture, rest) = target.split_once('-').unwrap_or((target, ""));
    let (_vendor, system) = rest.split_once('-').unwrap_or(("", rest));
    (architecture, system)
}

fn check_interface(manifest: &Manifest) -> Result<(), Reason> {
    version("version", &manifest.version).map_err(malformed)?;
    if let Some(found) = manifest.c_version() {
        let wanted = delfin_plugin_c::MAJOR.to_string();
        if found.split('.').next() != Some(&wanted) {
            return Err(Reason::OtherMajor {
                found: manifest.abi.clone(),
                wanted: format!("{MANIFEST_PREFIX}{wanted}"),
            });
        }
        return Ok(());
    }
    let found = version("abi", &manifest.abi).map_err(malformed)?;
    let wanted = version("abi", VERSION).map_err(malformed)?;
    if found.major != wanted.major {
        return Err(Reason::OtherMajor {
            found: manifest.abi.clone(),
            wanted: VERSION.to_owned(),
        });
    }
    Ok(())
}

/// The error continues after "malformed: ".
fn version(key: &str, text: &str) -> Result<semver::Version, String> {
    semver::Version::parse(text)
        .map_err(|error| format!("`{key}` is `{text}`, which is not a version: {error}"))
}

fn check_names(manifest: &Manifest) -> Result<(), String> {
    if manifest.exporters.is_empty() && manifest.drivers.is_empty() {
        return Err("it declares no exporter and no driver".to_owned());
    }
    for (i, exporter) in manifest.exporters.iter().enumerate() {
        let name = &exporter.name;
        if !is_name(name) {
            return Err(format!(
                "`{name}` is not a name for an exporter (use 1 to 64 of A-Z a-z 0-9 . _ -)"
            ));
        }
        if manifest.exporters[..i].iter().any(|e| e.name == *name) {
            return Err(format!("it declares the exporter `{name}` twice"));
        }
    }
    check_drivers(&manifest.drivers)
}

fn check_drivers(drivers: &[ManifestDriver]) -> Result<(), String> {
    for (i, driver) in drivers.iter().enumerate() {
        let ManifestDriver { vendor, model, .. } = driver;
        for name in [vendor, model] {
            if !is_name(name) {
                return Err(format!(
                    "`{name}` is not a vendor or a model of a driver (use 1 to 64 of A-Z a-z 0-9 . _ -)"
                ));
            }
        }
        let is_same = |other: &&ManifestDriver| (&other.vendor, &other.model) == (vendor, model);
        if drivers[..i].iter().any(|other| is_same(&other)) {
            return Err(format!(
                "it declares the driver for vendor `{vendor}`, model `{model}` twice"
            ));
        }
        if let Some(access) = driver
            .access
            .iter()
            .find(|access| !ACCESS.contains(&&***access))
        {
            return Err(format!(
                "`{access}` is not a kind of access data (use `{}`)",
                ACCESS.join("`, `")
            ));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

fn check_glibc(plugin: &Inspection) -> Result<(), Reason> {
    match (&plugin.image.glibc, running_glibc()) {
        (Some(needed), Some(running)) if *needed > running => Err(Reason::NewerGlibc {
            needed: needed.to_string(),
            running: running.to_string(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_of_the_allowed_characters() {
        for good in ["a", "kafka-dr", "A.b_C-9", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_c_library_of_a_target_matters_and_its_vendor_does_not() {
        let gnu = "x86_64-unknown-linux-gnu";
        assert_eq!(platform(gnu), platform("x86_64-acme-linux-gnu"));
        for other in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"] {
            assert_ne!(platform(gnu), platform(other));
        }
    }
}
