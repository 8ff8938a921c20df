//! What operators do with single exporters of a running host: pause and resume them, drop what
//! is pending, and rename or forget the cursor of an exporter that was removed.
//!
//! A cursor is changed by the delivery that owns it, or here if no delivery does. No reload
//! happens meanwhile.

use delfin_plugin_api::Kind;
use tokio::task::block_in_place;

use super::{
    pause_marks::{MarkError, PauseMarks},
    reload::Reloader,
};
use crate::{
    config,
    delivery::ExporterHandle,
    journal::{CursorError, Journal, ReadError},
};

/// Why an exporter cannot be changed. The texts are in `api/error.rs`.
#[derive(Debug)]
pub enum OperateError {
    /// No configured exporter has this name, and no cursor.
    NotFound {
        name: String,
    },
    /// The exporter is configured, so its cursor is in use.
    Configured {
        name: String,
    },
    /// The exporter is no longer configured.
    Removed {
        name: String,
    },
    /// The text is no name of an exporter.
    Name {
        reason: String,
    },
    /// The exporter cannot get the cursor.
    Occupied {
        reason: String,
    },
    /// A pause cannot be stored.
    Mark(MarkError),
    Cursor(CursorError),
    Read(ReadError),
}

/// What an operator has forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Items that were pending.
    pub items: u64,
    pub dead_letters: u64,
}

impl Reloader {
    /// Makes no further call of an exporter, also after a restart. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// No configured exporter has this name, or the pause cannot be stored.
    pub async fn pause(&self, name: &str) -> Result<(), OperateError> {
        let _applied = self.applied().await;
        let exporter = self.running(name)?;
        block_in_place(|| self.marks().add(name))?;
        exporter.pause().await;
        Ok(())
    }

    /// Ends the pause of an exporter, and lets it try again now, also to open its library.
    ///
    /// # Errors
    ///
    /// No configured exporter has this name, or the pause cannot be removed.
    pub async fn resume(&self, name: &str) -> Result<(), OperateError> {
        let applied = self.applied().await;
        let exporter = self.running(name)?;
        block_in_place(|| self.marks().remove(name))?;
        exporter.unpause().await;
        drop(applied);
        self.reopen_library_of(name).await;
        Ok(())
    }

    /// Drops everything pending for an exporter. Returns the number of items.
    ///
    /// # Errors
    ///
    /// No configured exporter has this name, or the journal cannot be written.
    pub async fn skip(&self, name: &str) -> Result<u64, OperateError> {
        let _applied = self.applied().await;
        Ok(self.running(name)?.skip().await?)
    }

    /// Gives the cursor of a removed exporter another name, with its counts, dead letters and
    /// pause. A configured exporter continues with it in place of its own cursor, so that it
    /// delivers again what it has delivered since the other one was removed. Returns the number of
    /// pending items.
    ///
    /// # Errors
    ///
    /// No removed exporter has this name, or the other name cannot have the cursor.
    pub async fn rename(&self, name: &str, to: &str) -> Result<u64, OperateError> {
        let _applied = self.applied().await;
        if let Some(reason) = config::name_error(to) {
            let reason = format!("`{to}` {reason}");
            return Err(OperateError::Name { reason });
        }
        let kinds = self.removed_kinds(name)?;
        for kind in &kinds {
            self.check_target(*kind, to)?;
        }
        let target = self.exporters().get(to);
        let marks = self.marks();
        if marks.contains(name) {
            // The pause comes first: with the cursor, the exporter has something to deliver.
            block_in_place(|| marks.add(to))?;
            if let Some(exporter) = &target {
                exporter.pause().await;
            }
        }
        let mut pending = 0;
        for kind in kinds {
            let journal = self.journal(kind);
            match &target {
                Some(exporter) => exporter.adopt(name.to_owned()).await?,
                None => {
                    journal.rename_cursor(name, to).await?;
                }
            }
            let backlog = block_in_place(|| journal.backlog(to))?;
            pending += backlog.unwrap_or_default().items;
        }
        block_in_place(|| marks.remove(name))?;
        log::info!(exporter = name, to = to, items = pending; "an operator renamed the cursor of a removed exporter");
        Ok(pending)
    }

    /// Removes the cursor of a removed exporter, with its counts, dead letters and pause.
    ///
    /// # Errors
    ///
    /// No removed exporter has this name, or the journal cannot be written.
    pub async fn forget(&self, name: &str) -> Result<Forgotten, OperateError> {
        let _applied = self.applied().await;
        let mut forgotten = Forgotten::default();
        for kind in self.removed_kinds(name)? {
            let journal = self.journal(kind);
            let backlog = block_in_place(|| journal.backlog(name))?;
            forgotten.items += backlog.unwrap_or_default().items;
            let held = block_in_place(|| journal.dead_letter_totals(name))?;
            forgotten.dead_letters += held.dead_letters;
            journal.remove_cursor(name).await?;
        }
        if self.exporters().get(name).is_none() {
            block_in_place(|| self.marks().remove(name))?;
        }
        let Forgotten {
            items,
            dead_letters,
        } = forgotten;
        let level = if items + dead_letters > 0 {
            log::Level::Error
        } else {
            log::Level::Info
        };
        log::log!(level, exporter = name, items = items, dead_letters = dead_letters; "an operator removed the cursor of a removed exporter, with what was pending");
        Ok(forgotten)
    }

    fn running(&self, name: &str) -> Result<ExporterHandle, OperateError> {
        let missing = || match self.kinds_with_cursor(name) {
            Ok(kinds) if kinds.is_empty() => OperateError::NotFound {
                name: name.to_owned(),
            },
            Ok(_) => OperateError::Removed {
                name: name.to_owned(),
            },
            Err(error) => error.into(),
        };
        self.exporters().get(name).ok_or_else(missing)
    }

    /// The kinds of batches for which a removed exporter has a cursor.
    fn removed_kinds(&self, name: &str) -> Result<Vec<Kind>, OperateError> {
        let configured = self.exporters().get(name);
        let mut kinds = self.kinds_with_cursor(name)?;
        kinds.retain(|kind| configured.as_ref().is_none_or(|one| one.kind != *kind));
        let name = name.to_owned();
        match (kinds.is_empty(), configured) {
            (false, _) => Ok(kinds),
            (true, Some(_)) => Err(OperateError::Configured { name }),
            (true, None) => Err(OperateError::NotFound { name }),
        }
    }

    fn kinds_with_cursor(&self, name: &str) -> Result<Vec<Kind>, ReadError> {
        let mut kinds = Vec::new();
        for kind in [Kind::Performance, Kind::Alert] {
            let cursors = block_in_place(|| self.journal(kind).cursors())?;
            if cursors.iter().any(|cursor| cursor.exporter == name) {
                kinds.push(kind);
            }
        }
        Ok(kinds)
    }

    /// The cursor that the name has is replaced, so nothing may depend on it.
    fn check_target(&self, kind: Kind, to: &str) -> Result<(), OperateError> {
        let occupied = |reason| Err(OperateError::Occupied { reason });
        let journal = self.journal(kind);
        match self.exporters().get(to) {
            Some(target) if target.kind != kind => {
                return occupied(format!(
                    "exporter `{to}` receives batches of kind {}, and the cursor is for {kind}",
                    target.kind
                ));
            }
            None if self.kinds_with_cursor(to)?.contains(&kind) => {
                return occupied(format!(
                    "`{to}` is a removed exporter with a cursor of its own (forget it first)"
                ));
            }
            Some(_) | None => {}
        }
        if block_in_place(|| journal.dead_letter_totals(to))?.dead_letters > 0 {
            return occupied(format!(
                "exporter `{to}` has dead letters (purge them first: its rows are delivered again)"
            ));
        }
        Ok(())
    }

    fn marks(&self) -> &PauseMarks {
        self.starter().marks()
    }

    fn journal(&self, kind: Kind) -> &dyn Journal {
        &**self.starter().journals().of(kind).backend()
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for OperateError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from!(MarkError => Mark, CursorError => Cursor, ReadError => Read);
