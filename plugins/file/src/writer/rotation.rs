//! Names of rotated files: `<file>.<UTC time>`, as in
//! `performance.jsonl.20260412T101500.250Z`.
//!
//! Promises: names sort by age, also when the clock is set back; no name is used
//! twice; no file with a name of another form is ever removed.

use std::{
    ffi::OsStr,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The name that the file at `path` gets when it is rotated.
pub(super) fn next_name(path: &Path, now: SystemTime) -> io::Result<PathBuf> {
    // When the clock was set back, or two rotations happen within a millisecond,
    // the time continues from the newest name instead.
    let mut time = now.max(SystemTime::UNIX_EPOCH);
    if let Some((newest, _)) = list(path)?.last() {
        time = time.max(*newest + Duration::from_millis(1));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(stamp(time)?);
    Ok(name.into())
}

/// Removes all but the newest `keep` rotated files.
pub(super) fn remove_oldest(path: &Path, keep: usize) -> io::Result<()> {
    let mut rotated = list(path)?;
    rotated.truncate(rotated.len().saturating_sub(keep));
    for (_, oldest) in rotated {
        fs::remove_file(oldest)?;
    }
    Ok(())
}

/// The rotated files of `path`, oldest first.
fn list(path: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut rotated = Vec::new();
    for entry in fs::read_dir(delfin_plugin_api::files::folder_of(path))? {
        let entry = entry?;
        if let Some(time) = time_in(&entry.file_name(), path)
            && entry.file_type()?.is_file()
        {
            rotated.push((time, entry.path()));
        }
    }
    rotated.sort();
    Ok(rotated)
}

/// The time in the name of a rotated file; `None` for any other file.
fn time_in(name: &OsStr, path: &Path) -> Option<SystemTime> {
    let prefix = path.file_name()?.as_encoded_bytes();
    let rest = name.as_encoded_bytes().strip_prefix(prefix)?;
    let written = str::from_utf8(rest.strip_prefix(b".")?).ok()?;
    if written.len() != "20260412T101500.250Z".len() || !written.is_ascii() {
        return None;
    }
    let (date, time) = written.split_at(8);
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    let (hour, minute, second) = (&time[..3], &time[3..5], &time[5..]);
    let rfc3339 = format!("{year}-{month}-{day}{hour}:{minute}:{second}");
    let time = humantime::parse_rfc3339(&rfc3339).ok()?;
    // `parse_rfc3339` accepts more than `stamp` writes, so compare the two.
    stamp(time)
        .is_ok_and(|ours| ours == written)
        .then_some(time)
}

fn stamp(time: SystemTime) -> io::Result<String> {
    let mut stamp = String::new();
    // Formatting fails after the year 9999.
    write!(stamp, "{}", humantime::format_rfc3339_millis(time)).map_err(io::Error::other)?;
    stamp.retain(|c| !matches!(c, '-' | ':'));
    Ok(stamp)
}
