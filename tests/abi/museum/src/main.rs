//! `museum CACHE [HOST PLUGIN]...`: each plugin in the host of that interface
//! version, one after another in this one process; a line for each.

use std::{env, path::Path};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [cache, visits @ ..] = &args[..] else {
        panic!("usage: museum CACHE [HOST PLUGIN]...");
    };
    for visit in visits.chunks(2) {
        let [host, plugin] = visit else {
            panic!("a plugin for each host");
        };
        let visit = match host.as_str() {
            "1.0" => museum_host_1_0::visit,
            "1.1" => museum_host_1_1::visit,
            _ => panic!("no host {host}"),
        };
        match visit(Path::new(plugin), Path::new(cache)) {
            Ok(said) => println!("{said}"),
            Err(refusal) => println!("refused: {refusal}"),
        }
    }
}
