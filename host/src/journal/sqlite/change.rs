//! What is asked of the writer now and then: a closure, and who wants to know.

use super::super::error::CursorError;
use super::command::Answer;
use super::work::Work;

/// A change that is no append and no commit.
pub(super) trait Change: Send {
    /// Carries it out in an open transaction, and keeps the result.
    fn carry_out(&mut self, work: &mut Work<'_>) -> rusqlite::Result<()>;

    /// Tells the asker the result.
    fn answer(self: Box<Self>);

    /// Tells the asker that the file could not be written.
    fn fail(self: Box<Self>, reason: String);
}

struct Asked<T, F> {
    make: F,
    answer: Answer<T, CursorError>,
}

/// A change from a closure, which may be called again after a transaction that failed.
pub(super) fn change<T: Send + 'static>(
    answer: Answer<T, CursorError>,
    make: impl FnMut(&mut Work<'_>) -> rusqlite::Result<Result<T, CursorError>> + Send + 'static,
) -> Box<dyn Change> {
    Box::new(Asked { make, answer })
}

impl<T, F> Change for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_>) -> rusqlite::Result<Result<T, CursorError>> + Send,
{
    fn carry_out(&mut self, work: &mut Work<'_>) -> rusqlite::Result<()> {
        self.answer.result = Some((self.make)(work)?);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        self.answer.tell();
    }

    fn fail(self: Box<Self>, reason: String) {
        self.answer.refuse(CursorError::Unavailable { reason });
    }
}
