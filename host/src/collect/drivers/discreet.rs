//! A driver that keeps its storage's secrets to itself.
//!
//! Promises: no error of a driver repeats a password that it was given, whatever
//! the storage or a library put into it. It stands before every driver, so that
//! none has to think of it.

use serde_json::Value;

use crate::collect::{
    driver::{Capabilities, Driver, DriverError, Options, StorageInfo, Window},
    sink::{AlertSink, SeriesSink},
};

/// What options call something that nobody may see.
const SECRET: [&str; 7] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "community_string",
    "auth_key",
    "privacy_key",
];
const SHOWN: &str = "***";

/// Shorter ones occur in ordinary text by chance.
const MIN_CHARS: usize = 4;

/// What must not be repeated, the longest first.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

/// A driver, and what it must not repeat.
pub(super) struct Discreet {
    pub(super) driver: Box<dyn Driver>,
    pub(super) secrets: Secrets,
}

impl Secrets {
    /// Those among a driver's options.
    pub(super) fn of(options: &Options) -> Self {
        let mut secrets = Self::default();
        for (key, value) in options {
            secrets.look_at(key, value);
        }
        secrets
            .0
            .sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    /// The error without them.
    pub(super) fn kept(&self, error: DriverError) -> DriverError {
        match error {
            DriverError::Unavailable { reason } => DriverError::Unavailable {
                reason: self.scrubbed(reason),
            },
            DriverError::BadAnswer { reason } => DriverError::BadAnswer {
                reason: self.scrubbed(reason),
            },
            DriverError::Refused { reason } => DriverError::Refused {
                reason: self.scrubbed(reason),
            },
            DriverError::Option { option, reason } => DriverError::Option {
                option,
                reason: self.scrubbed(reason),
            },
            DriverError::Unsupported { .. } | DriverError::TooMuch(_) => error,
        }
    }

    fn look_at(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.look_at(key, value);
                }
            }
            Value::String(text) if SECRET.contains(&key) && text.chars().count() >= MIN_CHARS => {
                // Messages often quote what they were given.
                let escaped = text.escape_debug().to_string();
                if escaped != *text {
                    self.0.push(escaped);
                }
                self.0.push(text.clone());
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {}
        }
    }

    fn scrubbed(&self, text: String) -> String {
        let secrets = self.0.iter();
        secrets.fold(text, |text, secret| text.replace(secret, SHOWN))
    }
}

impl Driver for Discreet {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let said = self.driver.storage();
        said.map_err(|error| self.secrets.kept(error))
    }

    fn capabilities(&self) -> Capabilities<'_> {
        self.driver.capabilities()
    }

    fn collect(&mut self, window: Window, series: &mut SeriesSink<'_>) -> Result<(), DriverError> {
        let said = self.driver.collect(window, series);
        said.map_err(|error| self.secrets.kept(error))
    }

    fn list_alerts(
        &mut self,
        range: Option<Window>,
        alerts: &mut AlertSink<'_>,
    ) -> Result<(), DriverError> {
        let said = self.driver.list_alerts(range, alerts);
        said.map_err(|error| self.secrets.kept(error))
    }

    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError> {
        let said = self.driver.clear_alert(sequence_number);
        said.map_err(|error| self.secrets.kept(error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::collect::Registry;

    /// A driver that repeats what it was given in every error.
    struct Chatty(String);

    impl Chatty {
        fn refused<T>(&self) -> Result<T, DriverError> {
            Err(DriverError::Refused {
                reason: format!("login of {} failed", self.0),
            })
        }
    }

    impl Driver for Chatty {
        fn storage(&mut self) -> Result<StorageInfo, DriverError> {
            self.refused()
        }

        fn capabilities(&self) -> Capabilities<'_> {
            Capabilities {
                is_historic: false,
                retention_ms: None,
                resource_metrics: &[],
            }
        }

        fn collect(&mut self, _: Window, _: &mut SeriesSink<'_>) -> Result<(), DriverError> {
            self.refused()
        }

        fn list_alerts(
            &mut self,
            _: Option<Window>,
            _: &mut AlertSink<'_>,
        ) -> Result<(), DriverError> {
            self.refused()
        }

        fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
            self.refused()
        }
    }

    #[test]
    fn no_call_of_a_driver_repeats_what_it_was_given_in_secret() {
        let options = json!({
            "rest": {"host": "array", "username": "admin", "password": "hunter2 \"\n"},
            "extra_attributes": {"token": "hunter2"},
        });
        let Value::Object(options) = options else {
            panic!("it is an object");
        };
        let mut registry = Registry::empty();
        registry.add("v", "m", |_, options| {
            if options.contains_key("wrong") {
                return Err(DriverError::Option {
                    option: "rest".to_owned(),
                    reason: format!("cannot use {:?}", options["rest"]),
                });
            }
            let rest = &options["rest"];
            let said = format!("{rest} {}", rest["password"].as_str().unwrap());
            Ok(Box::new(Chatty(said)))
        });
        let factory = registry.factory("v", "m").unwrap();
        let mut driver = factory("id", &options).unwrap();
        let mut wrong = options.clone();
        wrong.insert("wrong".to_owned(), true.into());
        let errors = [
            driver.storage().unwrap_err(),
            driver.clear_alert("1").unwrap_err(),
            factory("id", &wrong).err().unwrap(),
        ];
        for error in errors {
            let said = error.to_string();
            assert!(!said.contains("hunter2"), "{said}");
            assert!(said.contains("admin") && said.contains("***"), "{said}");
        }
    }

    #[test]
    fn text_is_left_alone_where_a_secret_is_too_short_to_be_one() {
        let options = json!({"password": "no", "rest": {"password": 7}, "host": "nowhere"});
        let Value::Object(options) = options else {
            panic!("it is an object");
        };
        let error = DriverError::Unavailable {
            reason: "no route to nowhere".to_owned(),
        };
        assert_eq!(Secrets::of(&options).kept(error.clone()), error);
    }
}
