//! `compat CACHE [HOST PLUGIN]...`: opens each plugin in the host of an interface version,
//! one after another in this process, and prints a line for each.

use std::{env, path::Path};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [cache, visits @ ..] = &args[..] else {
        panic!("usage: compat CACHE [HOST PLUGIN]...");
    };
    for visit in visits.chunks(2) {
        let [host, plugin] = visit else {
            panic!("each host needs a plugin");
        };
        let visit = match host.as_str() {
            "1.0" => compat_host_1_0::visit,
            "1.1" => compat_host_1_1::visit,
            _ => panic!("no host {host}"),
        };
        match visit(Path::new(plugin), Path::new(cache)) {
            Ok(messages) => println!("{messages}"),
            Err(error) => println!("refused: {error}"),
        }
    }
}
