//! Names of fields that come from a storage.

use std::borrow::Cow;

/// The name of a field for a label or an extra field.
///
/// A dot would make an object of what is before it, and a name without a visible character is
/// refused.
pub(super) fn field_name(name: &str) -> Cow<'_, str> {
    if name.trim().is_empty() {
        Cow::Borrowed("_")
    } else if name.contains('.') {
        Cow::Owned(name.replace('.', "_"))
    } else {
        Cow::Borrowed(name)
    }
}
