//! Compares the interface that a plugin was built with to this host's.
//!
//! `abi_stable` accepts where the second layout has all that the first one has,
//! and more at most: an older plugin in a newer host fails one way and passes
//! the other, and is just as sound, for what is missing is answered by the
//! caller's default. So one direction is enough.

use abi_stable::{
    abi_stability::abi_checking::{
        AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
    },
    type_layout::{TLFieldOrFunction, TypeLayout},
};

/// How two interfaces differ.
pub(crate) struct Difference {
    /// The first type or function that differs.
    pub(crate) place: Option<String>,
    /// What `abi_stable` says: hundreds of lines.
    pub(crate) explanation: String,
}

/// Whether either layout has all that the other has.
pub(crate) fn check_either_way(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
) -> Result<(), Difference> {
    // Fresh globals each time: the shared ones remember the plugins before, and
    // then refuse a current plugin after an older one.
    let check = |a, b| check_layout_compatibility_with_globals(a, b, &CheckingGlobals::new());
    let Err(newer) = check(host, plugin) else {
        return Ok(());
    };
    let Err(older) = check(plugin, host) else {
        return Ok(());
    };
    // What was merely added shows in one direction only.
    let fewer = if newer.errors.len() < older.errors.len() {
        newer
    } else {
        older
    };
    Err(Difference {
        place: place(&fewer),
        explanation: fewer.to_string(),
    })
}

fn place(errors: &AbiInstabilityErrors) -> Option<String> {
    let first = errors.errors.iter().find(|error| !error.errs.is_empty())?;
    let types = first.stack_trace.iter().map(|pair| match pair.found {
        TLFieldOrFunction::Field(field) => field.layout().name().to_owned(),
        TLFieldOrFunction::Function(function) => format!("{function}"),
    });
    types.last()
}
