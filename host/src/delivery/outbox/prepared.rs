//! The request that follows the one of the call in progress, if all rows of that are delivered.
//! It is made on another thread, so that an exporter with a backlog does not wait for it.
//!
//! Promises: only the very rows that are to be sent next are sent.

use arrow_schema::ArrowError;
use tokio::task::JoinHandle;

use super::selection::RowSelection;
use crate::{
    batch_journal::ReadForm,
    panics,
    plugin::{ExportRequest, encode_ahead},
};

pub(super) struct PreparedRequest {
    selection: RowSelection,
    making: JoinHandle<Result<ExportRequest, ArrowError>>,
}

impl PreparedRequest {
    /// Starts to make the request, with the payload that a process gets.
    pub(super) fn start(selection: RowSelection, form: ReadForm) -> Self {
        let rows = selection.clone();
        let making = panics::spawn_blocking(move || {
            let request = rows.request()?;
            match form {
                ReadForm::Rows => {}
                ReadForm::RowsAndPayload => encode_ahead(&request),
            }
            Ok(request)
        });
        Self { selection, making }
    }

    #[cfg(test)]
    pub(super) fn is_made(&self) -> bool {
        self.making.is_finished()
    }

    /// The request, if it has these rows.
    pub(super) async fn take(
        self,
        selection: &RowSelection,
    ) -> Option<Result<ExportRequest, ArrowError>> {
        if !self.selection.has_rows_of(selection) {
            return None;
        }
        self.making.await.ok()
    }
}
