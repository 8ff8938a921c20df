//! The length of a record.

use delfin_plugin_api::text::TextBudget;

/// The most bytes of a record: of its message and of its fields together.
const MAX_RECORD: usize = 64 << 10;

/// The message and the fields of a record that is too long, cut; `None` for any other.
pub(super) fn cut_record(
    message: &str,
    fields: &[(String, String)],
) -> Option<(String, Vec<(String, String)>)> {
    let lengths = fields.iter().map(|(key, value)| key.len() + value.len());
    if message.len() + lengths.sum::<usize>() <= MAX_RECORD {
        return None;
    }
    let mut budget = TextBudget::new(MAX_RECORD);
    // Fields of the host come first, and are short.
    let message = budget.cut(message, MAX_RECORD / 2);
    let mut cut = Vec::new();
    for (key, value) in fields {
        if budget.left() < key.len() {
            break;
        }
        let key = budget.cut(key, MAX_RECORD);
        cut.push((key, budget.cut(value, MAX_RECORD)));
    }
    Some((message, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_record_is_cut_and_keeps_its_first_fields() {
        let long = |key: &str| (key.to_owned(), "é".repeat(20_000));
        let short = ("exporter".to_owned(), "acme".to_owned());
        assert_eq!(cut_record("short", std::slice::from_ref(&short)), None);
        let message = "m".repeat(1 << 20);
        let fields = [short.clone(), long("first"), long("second")];
        let (message, fields) = cut_record(&message, &fields).unwrap();
        let texts = fields.iter().map(|(key, value)| key.len() + value.len());
        assert!(message.len() + texts.sum::<usize>() <= MAX_RECORD);
        assert_eq!((&fields[0], fields.len()), (&short, 2));
    }
}
