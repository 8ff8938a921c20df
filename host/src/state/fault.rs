//! What a check of the state finds.

/// Something that is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    pub file: String,
    pub fault: String,
    pub remedy: String,
}
