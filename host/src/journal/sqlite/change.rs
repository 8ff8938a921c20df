//! Rare changes of the file: each is a closure, so that a new one needs no new command.

use super::super::error::CursorError;
use super::reply::PendingReply;
use super::transaction::WriteTransaction;

/// Any change except an append or a commit.
pub(super) trait Change: Send {
    /// Makes the change in an open transaction, and keeps the result.
    fn run(&mut self, tx: &mut WriteTransaction<'_>) -> rusqlite::Result<()>;

    /// Sends the result to the caller.
    fn reply(self: Box<Self>);

    /// Tells the caller that the file cannot be written.
    fn fail(self: Box<Self>, reason: String);
}

struct ClosureChange<T, F> {
    run: F,
    reply: PendingReply<T, CursorError>,
}

/// A change made by a closure. It is called again after a transaction that failed.
pub(super) fn change<T: Send + 'static>(
    reply: PendingReply<T, CursorError>,
    run: impl FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<Result<T, CursorError>>
    + Send
    + 'static,
) -> Box<dyn Change> {
    Box::new(ClosureChange { run, reply })
}

impl<T, F> Change for ClosureChange<T, F>
where
    T: Send,
    F: FnMut(&mut WriteTransaction<'_>) -> rusqlite::Result<Result<T, CursorError>> + Send,
{
    fn run(&mut self, tx: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
        self.reply.result = Some((self.run)(tx)?);
        Ok(())
    }

    fn reply(self: Box<Self>) {
        self.reply.send();
    }

    fn fail(self: Box<Self>, reason: String) {
        self.reply.send_error(CursorError::Unavailable { reason });
    }
}
