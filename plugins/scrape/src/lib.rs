//! A driver that scrapes the page of a Prometheus exporter.
//!
//! Promises: a page is read as a whole or not at all, within limits; a counter that falls makes no
//! rate; what a mapping does not use is counted.

mod alerts;
mod client;
mod config;
pub mod decode;
mod driver;
mod mapping;
mod resources;
mod series;
mod state;
#[cfg(test)]
mod tests;

use delfin_plugin_api::export_plugin;

use crate::driver::ScrapeDriver;

export_plugin! {
    driver "prometheus" "scrape" => ScrapeDriver: "The page of a Prometheus exporter",
}
