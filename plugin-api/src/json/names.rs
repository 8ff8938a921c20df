//! Objects of texts whose names a receiver restricts.

use std::borrow::Cow;

use super::{Compact, Style};

/// Writes an object of texts. `rename` makes a name that the receiver accepts. Of names that become
/// the same, the later ones get `_` at their end, because an object has a name once.
///
/// ```
/// use std::borrow::Cow;
/// use delfin_plugin_api::json::write_texts;
///
/// let rename = |name| match name {
///     "a.b" => Cow::Borrowed("a_b"),
///     name => Cow::Borrowed(name),
/// };
/// let mut out = Vec::new();
/// write_texts([("a_b", "1"), ("a.b", "2")].into_iter(), rename, &mut out);
/// assert_eq!(out, br#"{"a_b":"1","a_b_":"2"}"#);
/// ```
pub fn write_texts<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    rename: impl Fn(&'a str) -> Cow<'a, str>,
    out: &mut Vec<u8>,
) {
    // Names are different as long as none changes.
    let may_clash = pairs.clone().any(|(name, _)| rename(name) != name);
    let mut taken: Vec<Cow<'_, str>> = Vec::new();
    out.push(b'{');
    for (number, (name, text)) in pairs.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let mut name = rename(name);
        if may_clash {
            while taken.contains(&name) {
                name.to_mut().push('_');
            }
            taken.push(name.clone());
        }
        Compact::text(&name, out);
        out.push(b':');
        Compact::text(text, out);
    }
    out.push(b'}');
}
