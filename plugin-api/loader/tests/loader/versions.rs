//! Plugins that were built with other versions of the interface, in this host.

use delfin_plugin_loader::Reason;

use crate::{
    host,
    lab::{Lab, museum},
};

#[test]
fn this_host_calls_plugins_of_every_version_that_fits() {
    let lab = Lab::new();
    for (version, machine) in [("1-0", ""), ("1-1", " on unknown machine")] {
        let said = host::visit(&lab.copy_of(&museum(version)), &lab.cache()).unwrap();
        let first = format!("exported 3 for museum{machine}; exported 7 for museum{machine}; ");
        assert!(said.starts_with(&first), "{said}");
    }
}

#[test]
fn this_host_refuses_plugins_of_every_version_that_does_not() {
    let lab = Lab::new();
    for (version, place) in [
        ("changed-method", "Exporter::tick"),
        ("grown-struct", "Outcome"),
    ] {
        let reason = lab.refused(&lab.copy_of(&museum(version)));
        let Reason::OtherInterface { differs_in, .. } = reason else {
            panic!("{reason}");
        };
        assert_eq!(differs_in.as_deref(), Some(place));
    }
    let reason = lab.refused(&lab.copy_of(&museum("2-0")));
    assert!(matches!(reason, Reason::OtherMajor { .. }), "{reason}");
}

#[test]
fn a_root_module_that_fails_says_why_in_one_line() {
    let lab = Lab::new();
    let reason = lab.refused(&lab.copy_of(&museum("failing-root")));
    let error = "the root module loader panicked".to_owned();
    assert_eq!(reason, Reason::RootModule { error });
}
