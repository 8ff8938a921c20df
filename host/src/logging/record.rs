//! The length of a record.

use delfin_plugin_api::text::TextBudget;

use super::LogLine;

/// The most bytes of a record: of its target, its message and its fields together.
const MAX_RECORD: usize = 64 << 10;

/// What is around the key and the value of a field: ` key="value"`.
const FIELD_FRAME: usize = 4;

/// The most bytes of the target of a record that is too long.
const MAX_TARGET: usize = 256;

/// The parts of a record that was too long.
pub(super) struct CutRecord {
    pub(super) target: String,
    pub(super) message: String,
    pub(super) fields: Vec<(String, String)>,
}

/// Cuts a record that is too long; `None` for any other.
pub(super) fn cut_record(line: &LogLine<'_>) -> Option<CutRecord> {
    let lengths = line.fields.iter();
    let lengths = lengths.map(|(key, value)| key.len() + value.len() + FIELD_FRAME);
    if line.target.len() + line.message.len() + lengths.sum::<usize>() <= MAX_RECORD {
        return None;
    }
    let mut budget = TextBudget::new(MAX_RECORD);
    // Fields of the host come first, and are short.
    let target = budget.cut(line.target, MAX_TARGET);
    let message = budget.cut(line.message, MAX_RECORD / 2);
    let mut fields = Vec::new();
    for (key, value) in line.fields {
        let frames = FIELD_FRAME * (fields.len() + 1);
        let room = budget.left().saturating_sub(frames);
        if room < key.len() {
            break;
        }
        let value = budget.cut(value, room - key.len());
        fields.push((budget.cut(key, room), value));
    }
    Some(CutRecord {
        target,
        message,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(target: &str, message: &str, fields: &[(String, String)]) -> Option<CutRecord> {
        cut_record(&LogLine {
            level: log::Level::Warn,
            target,
            message,
            fields,
        })
    }

    #[test]
    fn a_long_record_is_cut_and_keeps_its_first_fields() {
        let long = |key: &str| (key.to_owned(), "é".repeat(20_000));
        let short = ("exporter".to_owned(), "acme".to_owned());
        assert!(cut("target", "short", std::slice::from_ref(&short)).is_none());
        let fields = [short.clone(), long("first"), long("second")];
        let mut many = vec![short.clone(); 1 << 14];
        many[1].1 = "é".repeat(20_000);
        for (target, message, fields) in [
            (6, 1 << 20, &fields[..]),
            (1 << 20, 6, &fields[..]),
            (1 << 20, 1 << 20, &fields[..]),
            (6, 6, &many[..]),
        ] {
            let record = cut(&"t".repeat(target), &"m".repeat(message), fields).unwrap();
            let texts = record.fields.iter();
            let texts = texts.map(|(key, value)| key.len() + value.len() + FIELD_FRAME);
            let length = record.target.len() + record.message.len() + texts.sum::<usize>();
            assert!(length <= MAX_RECORD, "{length}");
            assert!(record.message.len() >= 6);
            assert_eq!(record.fields[0], short);
        }
    }
}
