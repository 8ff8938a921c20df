//! How far a long operation is.

use std::io::{self, Read};

/// Is told how far a long operation is.
pub trait ProgressListener {
    /// A part begins, with this many bytes or items; 0 if their number is unknown.
    fn begin(&self, part: &str, total: u64);
    /// This many bytes or items of the part are done.
    fn set(&self, done: u64);
}

/// For operations that are not watched.
pub(super) struct NoListener;

impl ProgressListener for NoListener {
    fn begin(&self, _: &str, _: u64) {}
    fn set(&self, _: u64) {}
}

/// Reports the bytes that were read.
pub struct CountingReader<'a, R> {
    reader: R,
    done: u64,
    progress: &'a dyn ProgressListener,
}

impl<'a, R> CountingReader<'a, R> {
    pub fn new(reader: R, progress: &'a dyn ProgressListener) -> Self {
        Self {
            reader,
            done: 0,
            progress,
        }
    }
}

impl<R: Read> Read for CountingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done += read as u64;
        self.progress.set(self.done);
        Ok(read)
    }
}
