//! A word on the disk about the call that is under way, which survives the host.
//!
//! If the host dies under a call, the marker is still there when it starts again:
//! the page cache outlives a process, so that nothing has to be synced. The very
//! call that it died under clears its exporter by coming back, however it went;
//! so does progress. Any other call that comes back says nothing: an instance may
//! well be made before the batch that kills.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// So often may the host die under one exporter's calls in a row.
const MOST_DEATHS: u32 = 3;

/// Each marker is as long, so that it is overwritten as a whole.
const LENGTH: usize = 96;

#[derive(Debug)]
pub(super) struct Marker {
    file: File,
    deaths: u32,
    /// Under which call the host died last, if it did.
    suspected: String,
    /// Which call was begun last.
    call: String,
    is_under_way: bool,
}

impl Marker {
    /// The marker in that file. If it says that a call was under way, the host
    /// has died under it once more.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut text = [0; LENGTH];
        let length = file.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let mut words = text.split_whitespace();
        let under_way = words.next() == Some("under-way");
        let before: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let marker = Self {
            file,
            deaths: if under_way { before + 1 } else { before },
            suspected: words.next().unwrap_or_default().to_owned(),
            call: String::new(),
            is_under_way: false,
        };
        if under_way {
            marker.write()?;
        }
        Ok(marker)
    }

    /// Whether the host has died under the exporter's last calls, so that no
    /// other suspect should be called meanwhile.
    pub(super) fn is_suspect(&self) -> bool {
        self.deaths > 0
    }

    /// Why the exporter must not be called any more, if that is so.
    pub(super) fn verdict(&self) -> Option<String> {
        (self.deaths >= MOST_DEATHS).then(|| {
            format!(
                "the host died {} times under its calls, the last with `{}` (look at that batch with \
                 `dead-letters` or the log, replace the plugin, then reload)",
                self.deaths, self.suspected
            )
        })
    }

    /// A call begins, with that batch.
    pub(super) fn begin(&mut self, call: &str) {
        self.call = call
            .chars()
            .filter(|c| !c.is_whitespace())
            .take(48)
            .collect();
        self.is_under_way = true;
        drop(self.write());
    }

    /// The host goes on without the call, which may come back or not.
    pub(super) fn leave(&mut self) {
        self.is_under_way = false;
        drop(self.write());
    }

    /// The call has come back.
    pub(super) fn end(&mut self) {
        if self.call == self.suspected {
            self.deaths = 0;
        }
        self.leave();
    }

    /// The exporter is beyond suspicion.
    pub(super) fn acquit(&mut self) {
        if self.is_suspect() {
            self.deaths = 0;
            drop(self.write());
        }
    }

    fn write(&self) -> io::Result<()> {
        let (word, call) = if self.is_under_way {
            ("under-way", &self.call)
        } else {
            ("over", &self.suspected)
        };
        let mut text = format!("{word} {} {call}", self.deaths);
        text.truncate(LENGTH - 1);
        self.file.write_all_at(
            format!("{text:<width$}\n", width = LENGTH - 1).as_bytes(),
            0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_dies_three_times_under_a_call_makes_it_a_culprit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls").join("exporter");
        for deaths in 0..3 {
            let mut marker = Marker::open(&path).unwrap();
            assert_eq!(marker.is_suspect(), deaths > 0);
            assert_eq!(marker.verdict(), None);
            // That an instance can be made, and asked, says nothing of the batch.
            for other in ["create", "tick"] {
                marker.begin(other);
                marker.end();
            }
            marker.begin("0198c0de");
        }
        // It is not called any more, and stays a culprit.
        for _ in 0..2 {
            let verdict = Marker::open(&path).unwrap().verdict().unwrap();
            assert!(
                verdict.contains("`0198c0de`") && verdict.contains("3 times"),
                "{verdict}"
            );
        }
    }

    #[test]
    fn the_call_that_the_host_died_under_clears_its_exporter_by_coming_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        let name = "a much longer name of a batch than there ever was in any journal of the world";
        Marker::open(&path).unwrap().begin(name);
        let mut marker = Marker::open(&path).unwrap();
        assert!(marker.is_suspect());
        marker.begin("create");
        marker.end();
        // Ended as it should, in between.
        let mut marker = Marker::open(&path).unwrap();
        assert!(marker.is_suspect());
        marker.begin(name);
        marker.end();
        assert!(!Marker::open(&path).unwrap().is_suspect());
    }

    #[test]
    fn progress_clears_an_exporter_of_the_past_and_not_of_the_call_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        for _ in 0..2 {
            Marker::open(&path).unwrap().begin("a");
        }
        let mut marker = Marker::open(&path).unwrap();
        marker.begin("b");
        marker.acquit();
        assert!(!marker.is_suspect());
        for _ in 0..2 {
            let mut marker = Marker::open(&path).unwrap();
            assert!(marker.is_suspect());
            assert_eq!(marker.verdict(), None);
            marker.begin("b");
        }
        assert!(Marker::open(&path).unwrap().verdict().is_some());
    }

    #[test]
    fn a_host_that_stops_without_its_call_has_not_died() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter");
        let mut marker = Marker::open(&path).unwrap();
        marker.begin("a");
        marker.leave();
        assert!(!Marker::open(&path).unwrap().is_suspect());
    }
}
