//! Plugins that were built with other versions of the interface, opened by this loader.

use delfin_plugin_loader::Reason;

use crate::{
    host,
    lab::{Lab, compat_plugin},
};

#[test]
fn this_host_calls_plugins_of_every_compatible_version() {
    let lab = Lab::new();
    for (version, machine) in [("1-0", ""), ("1-1", " on unknown machine")] {
        let log = host::visit(&lab.copy_of(&compat_plugin(version)), &lab.cache()).unwrap();
        let first = format!("exported 3 for compat{machine}; exported 7 for compat{machine}; ");
        assert!(log.starts_with(&first), "{log}");
    }
}

#[test]
fn this_host_refuses_plugins_of_every_incompatible_version() {
    let lab = Lab::new();
    for (version, place) in [
        ("changed-method", "Exporter::tick"),
        ("grown-struct", "Outcome"),
    ] {
        let reason = lab.refused(&lab.copy_of(&compat_plugin(version)));
        let Reason::OtherInterface { differs_in, .. } = reason else {
            panic!("{reason}");
        };
        assert_eq!(differs_in, place);
    }
    let reason = lab.refused(&lab.copy_of(&compat_plugin("2-0")));
    assert!(matches!(reason, Reason::OtherMajor { .. }), "{reason}");
}

#[test]
fn a_failing_root_module_is_reported_in_one_line() {
    let lab = Lab::new();
    let reason = lab.refused(&lab.copy_of(&compat_plugin("failing-root")));
    let error = "the root module loader panicked".to_owned();
    assert_eq!(reason, Reason::RootModule { error });
}
