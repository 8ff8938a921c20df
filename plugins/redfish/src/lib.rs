//! A driver for storages that speak Redfish or Swordfish.

#![forbid(unsafe_code)]

mod alerts;
mod client;
mod config;
mod decode;
mod driver;
mod resources;
mod series;

use delfin_plugin_api::export_plugin;

use crate::driver::RedfishDriver;

export_plugin! {
    driver "redfish" "redfish" => RedfishDriver: "Redfish and Swordfish",
}
