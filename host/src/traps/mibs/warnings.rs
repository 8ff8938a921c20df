//! What of MIB files cannot be used.

/// The most warnings that are kept. A folder of vendors' MIBs can have thousands of mistakes.
pub(super) const MAX_WARNINGS: usize = 20;

#[derive(Debug, Default)]
pub(super) struct MibWarnings {
    texts: Vec<String>,
    /// How many were left out.
    more: usize,
}

impl MibWarnings {
    pub(super) fn add(&mut self, text: String) {
        if self.texts.len() < MAX_WARNINGS {
            self.texts.push(text);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_texts(mut self) -> Vec<String> {
        if self.more > 0 {
            let more = format!("MIB files have {} more mistakes", self.more);
            self.texts.push(more);
        }
        self.texts
    }
}
