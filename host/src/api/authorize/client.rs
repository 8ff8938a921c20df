//! Who makes a call, for the audit log.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// The client of a call.
#[derive(Clone, Debug)]
pub(in crate::api) enum ApiClient {
    /// A client of this machine, or of any if the operator allows it, while no token exists.
    Anonymous,
    Token {
        name: String,
    },
    /// A program of this machine that uses the socket.
    User {
        uid: u32,
    },
    /// A client without a valid token.
    Unknown,
}

/// Holds the client of a call that changes the host.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct AuditedClient(Arc<OnceLock<ApiClient>>);

impl AuditedClient {
    pub(super) fn set(&self, client: ApiClient) {
        // Each request is checked once.
        let _ = self.0.set(client);
    }

    /// The client; `None` if the call changes nothing.
    pub(in crate::api) fn get(&self) -> Option<&ApiClient> {
        self.0.get()
    }
}

impl fmt::Display for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Token { name } => write!(f, "token {name}"),
            Self::User { uid } => write!(f, "user {uid}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
