//! Removes secrets from the errors of drivers.
//!
//! Promises: no error of a driver contains a password from its options, even if the
//! storage or a library puts it there. The registry wraps every driver, so that drivers
//! need not redact their errors.

use std::collections::BTreeMap;

use delfin_plugin_api::redact::Redactor;
use serde_json::Value;

use crate::collect::{
    builder::{AlertBuilder, SeriesBuilder},
    driver::{Capabilities, Driver, DriverError, DriverOptions, TimeWindow},
    resource::{ResourceFields, ResourceKind},
    storage_info::StorageInfo,
};

/// Names of options whose values are secret.
const SECRET_OPTIONS: [&str; 12] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "bearer_token",
    "community_string",
    "auth_key",
    "privacy_key",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
];

/// A driver whose errors are redacted.
pub(super) struct RedactingDriver {
    pub(super) driver: Box<dyn Driver>,
    pub(super) redactor: Redactor,
}

/// A redactor of the secrets in a driver's options.
#[must_use]
pub fn redactor_of(options: &DriverOptions) -> Redactor {
    let mut redactor = Redactor::default();
    for (key, value) in options {
        hide_secrets(&mut redactor, key, value);
    }
    redactor
}

/// The error without the secrets.
pub(super) fn redact(redactor: &Redactor, error: DriverError) -> DriverError {
    let redacted = |reason: String| redactor.redact(&reason).into_owned();
    match error {
        DriverError::Unavailable { reason } => DriverError::Unavailable {
            reason: redacted(reason),
        },
        DriverError::BadAnswer { reason } => DriverError::BadAnswer {
            reason: redacted(reason),
        },
        DriverError::Refused { reason } => DriverError::Refused {
            reason: redacted(reason),
        },
        DriverError::Option { option, reason } => DriverError::Option {
            option,
            reason: redacted(reason),
        },
        DriverError::Options { reason } => DriverError::Options {
            reason: redacted(reason),
        },
        DriverError::Failed { reason } => DriverError::Failed {
            reason: redacted(reason),
        },
        DriverError::Unsupported { action, reason } => DriverError::Unsupported {
            action,
            reason: redacted(reason.into_owned()).into(),
        },
        DriverError::TooMuch(_) => error,
    }
}

fn hide_secrets(redactor: &mut Redactor, key: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                hide_secrets(redactor, key, value);
            }
        }
        Value::String(text) if SECRET_OPTIONS.contains(&key) => redactor.hide(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
}

impl Driver for RedactingDriver {
    fn storage(&mut self) -> Result<StorageInfo, DriverError> {
        let result = self.driver.storage();
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
        let result = self.driver.capabilities();
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn collect(
        &mut self,
        window: TimeWindow,
        series: &mut SeriesBuilder<'_>,
    ) -> Result<(), DriverError> {
        let result = self.driver.collect(window, series);
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn list_alerts(
        &mut self,
        range: Option<TimeWindow>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let result = self.driver.list_alerts(range, alerts);
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn clear_alert(&mut self, sequence_number: &str) -> Result<(), DriverError> {
        let result = self.driver.clear_alert(sequence_number);
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn list_resources(&mut self, kind: ResourceKind) -> Result<Vec<ResourceFields>, DriverError> {
        let result = self.driver.list_resources(kind);
        result.map_err(|error| redact(&self.redactor, error))
    }

    fn parse_trap(
        &mut self,
        variables: &BTreeMap<String, String>,
        alerts: &mut AlertBuilder<'_>,
    ) -> Result<(), DriverError> {
        let result = self.driver.parse_trap(variables, alerts);
        result.map_err(|error| redact(&self.redactor, error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::collect::{DriverRegistry, DriverTarget};

    /// A driver that puts its options into every error.
    struct LeakingDriver(String);

    impl LeakingDriver {
        fn refused<T>(&self) -> Result<T, DriverError> {
            Err(DriverError::Refused {
                reason: format!("login of {} failed", self.0),
            })
        }
    }

    impl Driver for LeakingDriver {
        fn storage(&mut self) -> Result<StorageInfo, DriverError> {
            self.refused()
        }

        fn capabilities(&mut self) -> Result<Capabilities, DriverError> {
            Ok(Capabilities::new(false, &[]))
        }

        fn collect(&mut self, _: TimeWindow, _: &mut SeriesBuilder<'_>) -> Result<(), DriverError> {
            self.refused()
        }

        fn list_alerts(
            &mut self,
            _: Option<TimeWindow>,
            _: &mut AlertBuilder<'_>,
        ) -> Result<(), DriverError> {
            self.refused()
        }

        fn clear_alert(&mut self, _: &str) -> Result<(), DriverError> {
            self.refused()
        }
    }

    #[test]
    fn no_error_of_a_driver_contains_a_secret() {
        let options = json!({
            "rest": {"host": "array", "username": "admin", "password": "hunter2 \"\n"},
            "extra_attributes": {"token": "hunter2"},
        });
        let Value::Object(options) = options else {
            panic!("it is an object");
        };
        let registry = DriverRegistry::empty();
        registry.add("v", "m", |target| {
            let options = target.options;
            if options.contains_key("wrong") {
                return Err(DriverError::Option {
                    option: "rest".to_owned(),
                    reason: format!("cannot use {:?}", options["rest"]),
                });
            }
            let rest = &options["rest"];
            let text = format!("{rest} {}", rest["password"].as_str().unwrap());
            Ok(Box::new(LeakingDriver(text)))
        });
        let factory = registry.factory("v", "m").unwrap();
        let target = |options| DriverTarget {
            storage_id: "id",
            interval: None,
            options,
        };
        let mut driver = factory(&target(&options)).unwrap();
        let mut wrong = options.clone();
        wrong.insert("wrong".to_owned(), true.into());
        let errors = [
            driver.storage().unwrap_err(),
            driver.clear_alert("1").unwrap_err(),
            factory(&target(&wrong)).err().unwrap(),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("admin") && text.contains("***"), "{text}");
        }
    }

    #[test]
    fn a_secret_that_is_too_short_is_not_redacted() {
        let options = json!({"password": "no", "rest": {"password": 7}, "host": "nowhere"});
        let Value::Object(options) = options else {
            panic!("it is an object");
        };
        let error = DriverError::Unavailable {
            reason: "no route to nowhere".to_owned(),
        };
        assert_eq!(redact(&redactor_of(&options), error.clone()), error);
    }
}
