//! The state file: the samples of the page, so that they are back after a restart.
//!
//! The file starts with a definition of each series and its sample. Later samples
//! are appended. Records are written in frames: length, CRC-32, records.
//!
//! Promises: appended frames outlive the process; reading stops at an incomplete or
//! damaged frame and keeps what is before it. Frames are not synced one by one:
//! after a power failure the last seconds may be missing.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use super::chunk::LatestSample;
use crate::page::encode::SeriesText;

const MAGIC: &[u8; 8] = b"DELFPAG1";
/// In place of a series' number: a definition follows. In place of a length: the
/// text is the same as in the definition before.
const MARK: u32 = u32::MAX;
/// Bytes after which a frame is written.
const FRAME_BYTES: usize = 256 * 1024;
/// A longer frame is damaged: the strings of a batch are shorter.
const MAX_FRAME_BYTES: usize = 256 << 20;
/// The file is long when it exceeds `GROWTH` times its initial length by `SLACK_BYTES`.
const GROWTH: u64 = 4;
const SLACK_BYTES: u64 = 8 << 20;

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct StateFile {
    file: File,
    path: PathBuf,
    frame: Frame,
    initial_bytes: u64,
    bytes: u64,
}

/// How much of a file could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadState {
    Complete,
    /// The frames before an incomplete or damaged one.
    Partial,
}

#[derive(Debug)]
pub(super) enum StateRecord<'a> {
    /// A new series. Series are numbered from 0, in the order of their definitions.
    Defined(&'a SeriesText, LatestSample),
    /// A sample of the series with this number.
    Updated(u32, LatestSample),
}

impl StateFile {
    /// Creates a temporary file next to `path`. [`commit`](Self::commit) renames it to
    /// `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let new = temporary(path);
        // What is in its place is not followed: it may be a symbolic link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = File::create_new(new)?;
        file.write_all(MAGIC)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            frame: Frame::default(),
            initial_bytes: 0,
            bytes: MAGIC.len() as u64,
        })
    }

    /// Replaces the file at `path` atomically.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()?;
        fs::rename(temporary(&self.path), &self.path)?;
        self.initial_bytes = self.bytes;
        Ok(())
    }

    /// Appends the definition of a series.
    pub(super) fn define(&mut self, text: &SeriesText, sample: LatestSample) -> io::Result<()> {
        self.frame.define(text);
        self.frame.sample(sample);
        self.flush_if_long()
    }

    /// Appends a sample of a series that is defined.
    pub(super) fn update(&mut self, number: u32, sample: LatestSample) -> io::Result<()> {
        self.frame.number(number);
        self.frame.sample(sample);
        self.flush_if_long()
    }

    /// Writes the current frame.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.frame.payload.is_empty() {
            return Ok(());
        }
        let payload = &self.frame.payload;
        let mut head = [0; 8];
        head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        self.file.write_all(&head)?;
        self.file.write_all(payload)?;
        self.bytes += (head.len() + payload.len()) as u64;
        self.frame.clear();
        Ok(())
    }

    /// Whether the file should be rewritten.
    pub(super) fn is_long(&self) -> bool {
        self.bytes > self.initial_bytes * GROWTH + SLACK_BYTES
    }

    fn flush_if_long(&mut self) -> io::Result<()> {
        if self.frame.payload.len() < FRAME_BYTES {
            return Ok(());
        }
        self.flush()
    }
}

/// Reads a file and passes each record to `each`, which returns `false` for an
/// invalid one.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(StateRecord<'_>) -> bool,
) -> io::Result<ReadState> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReadState::Complete),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    let mut file = BufReader::with_capacity(FRAME_BYTES, file);
    let mut magic = [0; MAGIC.len()];
    if left < magic.len() as u64 {
        return Ok(ReadState::Partial);
    }
    file.read_exact(&mut magic)?;
    left -= magic.len() as u64;
    if magic != *MAGIC {
        return Ok(ReadState::Partial);
    }
    let mut payload = Vec::new();
    while left > 0 {
        if left < 8 {
            return Ok(ReadState::Partial);
        }
        let mut head = [[0; 4]; 2];
        file.read_exact(head.as_flattened_mut())?;
        left -= 8;
        let [len, crc] = head.map(u32::from_le_bytes);
        if u64::from(len) > left || len as usize > MAX_FRAME_BYTES {
            return Ok(ReadState::Partial);
        }
        payload.resize(len as usize, 0);
        file.read_exact(&mut payload)?;
        left -= u64::from(len);
        if crc32fast::hash(&payload) != crc || read_frame(&payload, &mut each).is_none() {
            return Ok(ReadState::Partial);
        }
    }
    Ok(ReadState::Complete)
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Records that are written together. A definition refers to texts of earlier
/// definitions in the same frame only, so that each frame can be read by itself.
#[derive(Debug, Default)]
struct Frame {
    payload: Vec<u8>,
    family: String,
    labels: Vec<String>,
}

impl Frame {
    fn clear(&mut self) {
        self.payload.clear();
        self.family.clear();
        self.labels.clear();
    }

    fn define(&mut self, text: &SeriesText) {
        self.number(MARK);
        let labels = text.labels();
        let count = labels.len();
        push_text(&mut self.payload, &mut self.family, text.family());
        self.number(count as u32);
        self.labels.resize_with(count, String::new);
        for (before, label) in self.labels.iter_mut().zip(labels) {
            push_text(&mut self.payload, before, label);
        }
    }

    fn number(&mut self, number: u32) {
        self.payload.extend_from_slice(&number.to_le_bytes());
    }

    fn sample(&mut self, sample: LatestSample) {
        let LatestSample { value, time, seen } = sample;
        self.payload.extend_from_slice(&value.to_le_bytes());
        self.payload.extend_from_slice(&time.to_le_bytes());
        self.payload.extend_from_slice(&seen.to_le_bytes());
    }
}

fn push_text(payload: &mut Vec<u8>, before: &mut String, text: &str) {
    // Names and labels are never empty, so an empty `before` equals no text.
    if before == text {
        payload.extend_from_slice(&MARK.to_le_bytes());
        return;
    }
    payload.extend_from_slice(&(text.len() as u32).to_le_bytes());
    payload.extend_from_slice(text.as_bytes());
    text.clone_into(before);
}

/// Returns `None` for an invalid frame.
fn read_frame(payload: &[u8], each: &mut impl FnMut(StateRecord<'_>) -> bool) -> Option<()> {
    let mut rest = payload;
    let (mut family, mut labels): (&str, Vec<&str>) = ("", Vec::new());
    let mut text = SeriesText::default();
    while !rest.is_empty() {
        let number = take_number(&mut rest)?;
        if number == MARK {
            take_text(&mut rest, &mut family)?;
            let count = take_number(&mut rest)? as usize;
            // Each label takes at least the four bytes of its length.
            if count > rest.len() / 4 {
                return None;
            }
            labels.resize(count, "");
            for label in &mut labels {
                take_text(&mut rest, label)?;
            }
            text.set_parts(family, labels.iter().copied());
        }
        let sample = LatestSample {
            value: f64::from_le_bytes(take(&mut rest)?),
            time: i64::from_le_bytes(take(&mut rest)?),
            seen: i64::from_le_bytes(take(&mut rest)?),
        };
        let record = if number == MARK {
            StateRecord::Defined(&text, sample)
        } else {
            StateRecord::Updated(number, sample)
        };
        each(record).then_some(())?;
    }
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

fn take_text<'a>(rest: &mut &'a [u8], text: &mut &'a str) -> Option<()> {
    let len = take_number(rest)?;
    if len != MARK {
        let (taken, after) = rest.split_at_checked(len as usize)?;
        *text = std::str::from_utf8(taken).ok()?;
        *rest = after;
    }
    Some(())
}
