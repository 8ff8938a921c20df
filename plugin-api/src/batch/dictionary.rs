//! The texts of a column, each of them once.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray, types::Int32Type};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use hashbrown::{DefaultHashBuilder, HashTable};

/// Builds a dictionary column entry by entry. The texts are in one buffer, and the index has
/// their codes only, so that a new text costs no allocation of its own.
#[derive(Debug)]
pub(super) struct DictionaryBuilder {
    /// The text of each entry.
    codes: Vec<i32>,
    /// All texts, one after another.
    texts: Vec<u8>,
    /// Where each text begins, and the end of the last one.
    offsets: Vec<i32>,
    codes_by_text: HashTable<i32>,
    hasher: DefaultHashBuilder,
    /// The number of texts that rows before the one being built have.
    kept: usize,
}

impl DictionaryBuilder {
    pub(super) fn new() -> Self {
        Self {
            codes: Vec::new(),
            texts: Vec::new(),
            offsets: vec![0],
            codes_by_text: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            kept: 0,
        }
    }

    /// Adds an entry. The text is likely the same as `distance` entries before.
    #[inline]
    pub(super) fn push(&mut self, text: &str, distance: usize) {
        let code = match self.likely_code(text, distance) {
            Some(code) => code,
            None => self.code(text),
        };
        self.push_code(code);
    }

    #[inline]
    pub(super) fn push_code(&mut self, code: i32) {
        self.codes.push(code);
    }

    /// The code `distance` entries before the next one.
    #[inline]
    pub(super) fn likely(&self, distance: usize) -> Option<i32> {
        let index = self.codes.len().checked_sub(distance)?;
        self.codes.get(index).copied()
    }

    /// Whether an entry from index `start` on has the text, which is likely the same as
    /// `distance` entries before the next one.
    pub(super) fn has(&self, text: &str, start: usize, distance: usize) -> bool {
        let code = self.likely_code(text, distance).or_else(|| {
            let hash = self.hasher.hash_one(text.as_bytes());
            self.find(text, hash)
        });
        code.is_some_and(|code| self.has_code(code, start))
    }

    /// Whether an entry from index `start` on has the code.
    #[inline]
    pub(super) fn has_code(&self, code: i32, start: usize) -> bool {
        self.codes[start..].contains(&code)
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    /// The length of all texts together.
    pub(super) fn text_bytes(&self) -> usize {
        self.texts.len()
    }

    /// Keeps the texts so far, also if later entries are discarded.
    pub(super) fn keep_texts(&mut self) {
        self.kept = self.text_count();
    }

    /// Removes the entries from index `entries` on, and the texts that only they have.
    pub(super) fn discard(&mut self, entries: usize) {
        self.codes.truncate(entries);
        for code in self.kept..self.text_count() {
            let hash = self.hasher.hash_one(self.text(code as i32));
            let entry = self
                .codes_by_text
                .find_entry(hash, |&known| known == code as i32);
            if let Ok(entry) = entry {
                entry.remove();
            }
        }
        self.offsets.truncate(self.kept + 1);
        self.texts.truncate(self.offsets[self.kept] as usize);
    }

    /// The memory of the column so far, in bytes, estimated from above.
    pub(super) fn memory_bytes(&self) -> usize {
        let integers = self.codes.capacity() + self.offsets.capacity();
        let index = self.codes_by_text.allocation_size();
        // A buffer that is made smaller at the end can be copied.
        size_of::<i32>() * integers + index + self.texts.capacity() + self.texts.len()
    }

    pub(super) fn finish(self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let texts = StringArray::new(offsets, Buffer::from_vec(self.texts), None);
        let codes = Int32Array::from(self.codes);
        Arc::new(DictionaryArray::<Int32Type>::new(codes, Arc::new(texts)))
    }

    /// The code of the text, if the entry `distance` before the next one has it.
    #[inline]
    fn likely_code(&self, text: &str, distance: usize) -> Option<i32> {
        let likely = self.likely(distance);
        likely.filter(|&code| self.text(code) == text.as_bytes())
    }

    fn find(&self, text: &str, hash: u64) -> Option<i32> {
        let is_same = |&code: &i32| self.text(code) == text.as_bytes();
        self.codes_by_text.find(hash, is_same).copied()
    }

    fn code(&mut self, text: &str) -> i32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        if let Some(code) = self.find(text, hash) {
            return code;
        }
        let code = self.text_count() as i32;
        self.texts.extend_from_slice(text.as_bytes());
        self.offsets.push(self.texts.len() as i32);
        let Self {
            texts,
            offsets,
            hasher,
            ..
        } = self;
        let hash_of = |&code: &i32| hasher.hash_one(text_of(texts, offsets, code));
        self.codes_by_text.insert_unique(hash, code, hash_of);
        code
    }

    fn text(&self, code: i32) -> &[u8] {
        text_of(&self.texts, &self.offsets, code)
    }

    fn text_count(&self) -> usize {
        self.offsets.len() - 1
    }
}

fn text_of<'t>(texts: &'t [u8], offsets: &[i32], code: i32) -> &'t [u8] {
    let code = code as usize;
    &texts[offsets[code] as usize..offsets[code + 1] as usize]
}
