//! What handlers take from a request: within the limits of the API, and with its
//! error format.

pub(super) mod body;
