//! The table of texts that version 2 refers to by number.

use std::collections::HashMap;

use delfin_plugin_api::protobuf::ProtobufWriter;

/// The field `symbols` of a request.
const SYMBOLS: u32 = 4;
/// Bytes of the table to keep from one request to the next.
const TABLE_BYTES: usize = 1 << 20;

/// Each text has one number. The empty text has the number 0, as the protocol demands.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    numbers: HashMap<Box<str>, u64>,
    /// The texts, one after the other, in the order of their numbers.
    texts: String,
    ends: Vec<usize>,
}

impl SymbolTable {
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.texts.clear();
        self.texts.shrink_to(TABLE_BYTES);
        self.ends.clear();
    }

    /// The number of a text, which is added if it is new.
    pub(super) fn reference(&mut self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        let number = self.ends.len() as u64;
        self.numbers.insert(text.into(), number);
        number
    }

    pub(super) fn write(&self, request: &mut ProtobufWriter) {
        request.text(SYMBOLS, "");
        let mut start = 0;
        for &end in &self.ends {
            request.text(SYMBOLS, &self.texts[start..end]);
            start = end;
        }
    }
}
