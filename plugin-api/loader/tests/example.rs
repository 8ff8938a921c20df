//! The real thing: the example plugin, built by cargo, through every step.

mod common;

use common::{Lab, example};
use delfin_plugin_loader::{OpenOptions, check, inspect, open};

#[test]
fn the_example_plugin_says_what_it_offers_and_opens() {
    let lab = Lab::new();
    let path = lab.copy_of(example());
    let plugin = inspect(&path).unwrap();
    println!("{plugin:#?}");
    check(&plugin).unwrap();
    let open = open(&plugin, &OpenOptions::new(lab.cache())).unwrap();
    assert!(open.get_extension("no.such/1").is_none());
}
