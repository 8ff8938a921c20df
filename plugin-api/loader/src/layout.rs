//! Compares the interface that a plugin was built with to that of this host.
//!
//! `abi_stable` accepts a second layout that has everything of the first layout, and
//! possibly more. An older plugin in a newer host fails in one direction and passes in
//! the other. It is sound in either case, because a caller that meets a missing method
//! runs its own default. So it is enough that one direction passes.

use abi_stable::{
    abi_stability::abi_checking::{
        AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
    },
    type_layout::{TLFieldOrFunction, TypeLayout},
};

/// The package that defines the types of the interface.
const INTERFACE: &str = "delfin-plugin-abi";

/// How two interfaces differ.
pub(crate) struct Difference {
    /// The first type or function that differs.
    pub(crate) place: String,
    /// The report of `abi_stable`, which has hundreds of lines.
    pub(crate) explanation: String,
}

/// Checks that one of the layouts has everything of the other.
pub(crate) fn check_either_way(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
) -> Result<(), Difference> {
    // New globals for each check: shared globals remember earlier plugins, and
    // `abi_stable` then refuses a current plugin after an older one.
    let check = |a, b| check_layout_compatibility_with_globals(a, b, &CheckingGlobals::new());
    let Err(newer) = check(host, plugin) else {
        return Ok(());
    };
    let Err(older) = check(plugin, host) else {
        return Ok(());
    };
    // A member that one side merely lacks is an error in one direction only, so the
    // shorter list is closer to the real difference.
    let fewer = if newer.errors.len() < older.errors.len() {
        newer
    } else {
        older
    };
    Err(Difference {
        // Without a deeper place, the root module itself differs.
        place: place(&fewer).unwrap_or_else(|| "Plugin".to_owned()),
        explanation: fewer.to_string(),
    })
}

/// The place of the deepest mismatch: `Type`, or `Trait::method`.
fn place(errors: &AbiInstabilityErrors) -> Option<String> {
    let mismatches = errors.errors.iter().filter(|error| !error.errs.is_empty());
    // Every type that contains a mismatch is reported as well; the deepest one is the
    // cause.
    let deepest = mismatches.max_by_key(|error| error.stack_trace.len())?;
    let mut place = None;
    let mut member = "";
    for step in &deepest.stack_trace {
        match step.found {
            TLFieldOrFunction::Field(field) => {
                member = field.name();
                let layout = field.layout();
                // A trait object is a pointer to a `VTable`; the name of the trait is
                // clearer for the reader.
                if layout.package() == INTERFACE && layout.name() != "VTable" {
                    place = Some(layout.name().trim_end_matches("_TO").to_owned());
                }
            }
            TLFieldOrFunction::Function(_) => {
                place = place.map(|owner| {
                    let owner = owner.split("::").next().unwrap_or_default();
                    format!("{owner}::{member}")
                });
            }
        }
    }
    place
}
