//! Names of metrics and dimensions.

use std::borrow::Cow;

/// The name of a dimension for a label: `A` to `Z`, `a` to `z`, `0` to `9`, `_`, `.`
/// and `-`, and one of the first two at the beginning. Splunk reserves names that begin with `_` and `metric_name`.
pub(super) fn dimension_name(name: &str) -> Cow<'_, str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts_well && !name.starts_with("metric_name") && name.chars().all(is_allowed) {
        return Cow::Borrowed(name);
    }
    let mut changed = String::from(if starts_well && !name.starts_with("metric_name") {
        ""
    } else {
        "label_"
    });
    changed.extend(name.chars().map(|c| if is_allowed(c) { c } else { '_' }));
    Cow::Owned(changed)
}
