//! The header `Authorization`.
//!
//! Promises: no password and no token is in a message or a debug form.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::setting::{Mistakes, Secret};

/// The credentials of the exporter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// The scheme `Basic`.
    Basic {
        /// The user name, without a colon.
        username: String,
        /// The password.
        password: Secret,
    },
    /// The scheme `Bearer`, with its token.
    Bearer(Secret),
    /// Any other scheme. [`Client::new`](super::Client::new) refuses what cannot be sent.
    Other {
        /// The name of the scheme, such as `ApiKey`.
        scheme: String,
        /// What follows the scheme and a space.
        credentials: Secret,
    },
}

impl Authorization {
    /// Reads the settings `username`, `password` and `bearer_token`. It is right to set
    /// the first two, only the last, or none: then the result is `None`.
    pub fn read(
        username: Option<Value>,
        password: Option<Value>,
        bearer_token: Option<Value>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let username = mistakes.text("username", username);
        let password = mistakes.secret("password", password);
        let token = mistakes.secret("bearer_token", bearer_token);
        let mistake = match (username, password, token) {
            (None, None, None) => return None,
            (None, None, Some(token)) => {
                // A header cannot hold other characters, so each request would fail.
                if token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Some(Self::Bearer(token));
                }
                "`bearer_token` has a character that no token has (look for spaces and line ends)"
            }
            (Some(username), Some(password), None) => {
                if !username.contains(':') {
                    return Some(Self::Basic { username, password });
                }
                "`username` has a colon, which ends a user name (choose another name)"
            }
            (Some(_), None, None) | (None, Some(_), None) => {
                "`username` and `password` come together, and one is missing or wrong (set both)"
            }
            (_, _, Some(_)) => {
                "`bearer_token` is set together with `username` or `password` (keep one)"
            }
        };
        mistakes.add(mistake.to_owned());
        None
    }

    /// The value of the header `Authorization`.
    #[must_use]
    pub fn header(&self) -> Secret {
        Secret::new(match self {
            Self::Basic { username, password } => {
                let credentials = format!("{username}:{}", password.reveal());
                format!("Basic {}", BASE64_STANDARD.encode(credentials))
            }
            Self::Bearer(token) => format!("Bearer {}", token.reveal()),
            Self::Other {
                scheme,
                credentials,
            } => format!("{scheme} {}", credentials.reveal()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: [Option<&str>; 3]) -> Result<Option<String>, String> {
        let mut mistakes = Mistakes::default();
        let [username, password, token] = settings.map(|text| text.map(|text| json!(text)));
        let authorization = Authorization::read(username, password, token, &mut mistakes);
        assert!(!format!("{authorization:?}").contains("hunter2"));
        let header = authorization.map(|authorization| authorization.header().reveal().to_owned());
        mistakes
            .into_result(header)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_with_a_password_or_a_token_makes_the_header() {
        assert_eq!(read([None, None, None]), Ok(None));
        let basic = Ok(Some("Basic dTpodW50ZXIy".to_owned()));
        assert_eq!(read([Some("u"), Some("hunter2"), None]), basic);
        let bearer = Ok(Some("Bearer hunter2".to_owned()));
        assert_eq!(read([None, None, Some("hunter2")]), bearer);
    }

    #[test]
    fn credentials_that_cannot_be_sent_are_refused_and_not_shown() {
        for (settings, reason) in [
            ([Some("u"), None, None], "come together"),
            ([None, Some("hunter2"), None], "come together"),
            ([Some("u"), Some("hunter2"), Some("t")], "keep one"),
            ([Some("u"), None, Some("hunter2")], "keep one"),
            ([None, None, Some("hunter2\n")], "no token has"),
            ([Some("a:b"), Some("hunter2"), None], "colon"),
        ] {
            let mistake = read(settings).unwrap_err();
            assert!(mistake.contains(reason), "{mistake}");
            assert!(!mistake.contains("hunter2"), "{mistake}");
        }
    }
}
