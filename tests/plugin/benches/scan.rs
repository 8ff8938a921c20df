//! What it costs to list 100 plugin files: when each is read, and when the hash of each is remembered.
//!
//! The budget is 10 ms for remembered files.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot be set up should say why and stop"
)]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use delfin_plugin_api::testkit;
use delfin_plugin_loader::{Catalog, FileHashes};

const FILES: usize = 100;

const ROUNDS: usize = 21;

const BUDGET: Duration = Duration::from_millis(10);

#[expect(clippy::print_stdout, reason = "what was measured")]
fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let library = fs::read(testkit::build_library()).expect("the library can be read");
    for index in 0..FILES {
        // Another content for each: bytes after the end of a library mean nothing.
        let content = [&library[..], &index.to_le_bytes()].concat();
        let path = folder.path().join(format!("{index}.so"));
        fs::write(path, content).expect("the file can be written");
    }
    let folders = [folder.path().to_owned()];
    println!("{FILES} files of {} bytes", library.len());
    let read = median(|| scan(&folders, &FileHashes::default()));
    println!("each is read: {read:?}");
    // A file that has just changed is not remembered.
    std::thread::sleep(Duration::from_secs(3));
    let hashes = FileHashes::in_cache(folder.path());
    let remembered = median(|| scan(&folders, &hashes));
    let result = if remembered <= BUDGET {
        "met"
    } else {
        "NOT MET"
    };
    let ratio = read.as_secs_f64() / remembered.as_secs_f64();
    println!(
        "each is remembered: {remembered:?}, {ratio:.1} times as fast (budget {BUDGET:?}: {result})"
    );
}

fn median(scan: impl Fn() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| scan()).collect();
    times.sort();
    times[ROUNDS / 2]
}

fn scan(folders: &[PathBuf], hashes: &FileHashes) -> Duration {
    let begin = Instant::now();
    let (catalog, refused) = Catalog::scan(folders, hashes);
    let took = begin.elapsed();
    assert_eq!((catalog.plugins().len(), refused.len()), (FILES, 0));
    took
}
