//! The samples on the page, in a file, so that they are back after a restart.
//!
//! The file begins with all series and goes on with what is new of them, frame
//! by frame. Promises: what was appended outlives the process; a frame that is
//! torn or damaged ends the file there and harms nothing before it. Frames are
//! not synced one by one: after a power failure the last seconds may be missing.
//!
//! Knows nothing of when it is written or read.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use super::{chunk::Sample, text::SeriesText};

const MAGIC: &[u8; 8] = b"DELFPAG1";
/// In place of a series' number: what follows defines a new one. In place of a
/// length: the same text as in the definition before.
const MARK: u32 = u32::MAX;
const FRAME: usize = 256 * 1024;
/// No frame that was written is longer, as a batch's strings have a limit.
const MAX_FRAME: usize = 256 << 20;
/// How long the file may grow beyond what it began with, in times and in bytes.
const GROWTH: u64 = 4;
const SLACK: u64 = 8 << 20;

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
    frame: Frame,
    began_with: u64,
    bytes: u64,
}

/// What is found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// All that was written.
    Whole,
    /// What was written before the file was torn or damaged.
    Part,
}

/// What was remembered of a series.
#[derive(Debug)]
pub(crate) enum Remembered<'a> {
    /// A series that was not in the file before; they are numbered from 0.
    New(&'a SeriesText, Sample),
    /// A sample of a series that was.
    Known(u32, Sample),
}

impl StateFile {
    /// Begins a file beside the one at `path`, which it replaces in
    /// [`commit`](Self::commit).
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let mut file = File::create(beside(path))?;
        file.write_all(MAGIC)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            frame: Frame::default(),
            began_with: 0,
            bytes: MAGIC.len() as u64,
        })
    }

    /// Puts the file in its place, all or nothing.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()?;
        fs::rename(beside(&self.path), &self.path)?;
        self.began_with = self.bytes;
        Ok(())
    }

    /// Remembers a series that is not in the file.
    pub(crate) fn define(&mut self, text: &SeriesText, sample: Sample) -> io::Result<()> {
        self.frame.define(text);
        self.frame.sample(sample);
        self.flush_if_long()
    }

    /// Remembers a sample of a series that is.
    pub(crate) fn update(&mut self, number: u32, sample: Sample) -> io::Result<()> {
        self.frame.number(number);
        self.frame.sample(sample);
        self.flush_if_long()
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
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

    /// Whether the file should be written anew.
    pub(crate) fn is_long(&self) -> bool {
        self.bytes > self.began_with * GROWTH + SLACK
    }

    fn flush_if_long(&mut self) -> io::Result<()> {
        if self.frame.payload.len() < FRAME {
            return Ok(());
        }
        self.flush()
    }
}

/// Reads a file. `each` says whether it makes sense of what it is given.
pub(crate) fn read(path: &Path, mut each: impl FnMut(Remembered<'_>) -> bool) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Whole),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    let mut file = BufReader::with_capacity(FRAME, file);
    let mut magic = [0; MAGIC.len()];
    if left < magic.len() as u64 {
        return Ok(Found::Part);
    }
    file.read_exact(&mut magic)?;
    left -= magic.len() as u64;
    if magic != *MAGIC {
        return Ok(Found::Part);
    }
    let mut payload = Vec::new();
    while left > 0 {
        if left < 8 {
            return Ok(Found::Part);
        }
        let mut head = [[0; 4]; 2];
        file.read_exact(head.as_flattened_mut())?;
        left -= 8;
        let [len, crc] = head.map(u32::from_le_bytes);
        if u64::from(len) > left || len as usize > MAX_FRAME {
            return Ok(Found::Part);
        }
        payload.resize(len as usize, 0);
        file.read_exact(&mut payload)?;
        left -= u64::from(len);
        if crc32fast::hash(&payload) != crc || read_frame(&payload, &mut each).is_none() {
            return Ok(Found::Part);
        }
    }
    Ok(Found::Whole)
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// What is appended at once. Its definitions refer to each other only.
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

    fn sample(&mut self, sample: Sample) {
        let Sample { value, time, seen } = sample;
        self.payload.extend_from_slice(&value.to_le_bytes());
        self.payload.extend_from_slice(&time.to_le_bytes());
        self.payload.extend_from_slice(&seen.to_le_bytes());
    }
}

fn push_text(payload: &mut Vec<u8>, before: &mut String, text: &str) {
    // A name and a label are never empty, so an empty text stands for none yet.
    if before == text {
        payload.extend_from_slice(&MARK.to_le_bytes());
        return;
    }
    payload.extend_from_slice(&(text.len() as u32).to_le_bytes());
    payload.extend_from_slice(text.as_bytes());
    text.clone_into(before);
}

/// `None` if the frame makes no sense.
fn read_frame(payload: &[u8], each: &mut impl FnMut(Remembered<'_>) -> bool) -> Option<()> {
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
        let sample = Sample {
            value: f64::from_le_bytes(take(&mut rest)?),
            time: i64::from_le_bytes(take(&mut rest)?),
            seen: i64::from_le_bytes(take(&mut rest)?),
        };
        let remembered = if number == MARK {
            Remembered::New(&text, sample)
        } else {
            Remembered::Known(number, sample)
        };
        each(remembered).then_some(())?;
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
