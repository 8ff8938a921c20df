//! What differs between operating systems. There is one module for each.

mod unix;

use unix as system;

pub(super) use system::{go_to_end, is_at, kind_of, open, read_exact_at, try_lock};
