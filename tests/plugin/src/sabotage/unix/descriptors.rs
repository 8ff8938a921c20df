//! Closes descriptors that it does not own, or uses up all of them.

use std::{fs, fs::File, mem, ops::Range, os::fd::RawFd, process};

pub(super) fn run(word: &str) -> bool {
    match word {
        "close-descriptors" => close_all(3..1024),
        "close-standard" => close_all(0..3),
        "use-up-descriptors" => use_up(),
        "no-open-files" => no_open_files(),
        "delete-library-and-abort" => {
            delete_library();
            process::abort();
        }
        _ => return false,
    }
    true
}

fn close_all(numbers: Range<RawFd>) {
    let is_open = |number: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for number in numbers.filter(is_open) {
        // SAFETY: none, that is the point: others own them.
        unsafe { libc::close(number) };
    }
}

fn use_up() {
    while let Ok(file) = File::open("/dev/null") {
        mem::forget(file);
    }
}

fn no_open_files() {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

/// The file that the process has opened its library from.
fn delete_library() {
    let descriptors = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    for library in targets.filter(|path| path.extension().is_some_and(|end| end == "so")) {
        // If it fails, there is nothing to delete.
        let _ = fs::remove_file(library);
    }
}
