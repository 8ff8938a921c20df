//! Plugins that were built with other versions of the interface, in this host.

use delfin_plugin_loader::Reason;

use crate::lab::{Lab, museum};

#[test]
fn this_host_opens_plugins_of_every_version_that_fits() {
    let lab = Lab::new();
    for (version, abi) in [("1-0", "1.0.0"), ("1-1", "1.1.0")] {
        let plugin = lab.open(&lab.copy_of(&museum(version))).unwrap();
        assert_eq!(plugin.manifest().abi, abi);
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
