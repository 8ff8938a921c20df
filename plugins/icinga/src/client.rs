//! Sends check results, and creates hosts and services that do not exist.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures,
    http::{Client, RequestBuilder, Response, query_value},
    workers::WorkItem,
};
use serde_json::json;

use crate::{
    config::IcingaConfig,
    encode::{CheckResults, ServiceResults},
    outcome::{self, ResultAnswer},
};

pub(crate) struct IcingaClient {
    http: Client,
    base: String,
    redacted_url: String,
    create: bool,
    /// Held while objects are created: a host that another worker is creating exists, and Icinga does not
    /// find it yet.
    creating: Mutex<()>,
}

impl IcingaClient {
    /// A client for the API in `config`. Connects with the first request.
    pub(crate) fn new(config: &IcingaConfig) -> Result<Self, Failure> {
        Ok(Self {
            http: Client::new(&config.http)?,
            base: format!("{}/v1", config.url.url),
            redacted_url: config.url.redacted.clone(),
            create: config.create,
            creating: Mutex::new(()),
        })
    }

    /// Sends the results of a service, one after the other.
    pub(crate) fn send(
        &self,
        results: &CheckResults,
        service: &WorkItem<ServiceResults>,
        deadline: Instant,
    ) -> Outcome {
        let ServiceResults { name, bodies, .. } = &service.content;
        for body in bodies {
            let body = &results.text()[body.clone()];
            if self.send_one(body, deadline)? {
                continue;
            }
            if service.content.is_end && self.create {
                // Nothing has begun that could end.
                continue;
            }
            if self.create {
                self.create_service(name, deadline)?;
                if self.send_one(body, deadline)? {
                    continue;
                }
                return Err(outcome::not_found_yet(&self.redacted_url, name));
            }
            let mut failures = RowFailures::new();
            let reason = outcome::no_service(&self.redacted_url, name);
            failures.push(0..service.rows.len(), RowFailureKind::Rejected, &reason);
            return failures.into_outcome();
        }
        Ok(())
    }

    /// Asks whether the API accepts the credentials.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let request = self.http.get(&self.base);
        let response = self.run(request, b"", Instant::now() + time)?;
        outcome::of_status(&response, &self.redacted_url)
    }

    /// Whether the service exists.
    fn send_one(&self, body: &[u8], deadline: Instant) -> Result<bool, Failure> {
        let request = self
            .http
            .post(&format!("{}/actions/process-check-result", self.base))
            .header("content-type", "application/json");
        let response = self.run(request, body, deadline)?;
        match outcome::of_result(&response, &self.redacted_url)? {
            ResultAnswer::Processed => Ok(true),
            ResultAnswer::NoService => Ok(false),
        }
    }

    fn create_service(&self, [host, service]: &[String; 2], deadline: Instant) -> Outcome {
        let _creating = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        // The command is never run. `vars.delfin` is for rules such as `assign where`.
        let host_attributes = json!({
            "check_command": "dummy",
            "enable_active_checks": false,
            "vars": { "delfin": true },
        });
        let mut service_attributes = host_attributes.clone();
        service_attributes["max_check_attempts"] = json!(1);
        for (path, attributes) in [
            (format!("hosts/{}", query_value(host)), host_attributes),
            (
                format!("services/{}", query_value(&format!("{host}!{service}"))),
                service_attributes,
            ),
        ] {
            let url = format!("{}/objects/{path}", self.base);
            let request = self
                .http
                .put(&url)
                .header("content-type", "application/json");
            let body = json!({ "attrs": attributes }).to_string();
            let response = self.run(request, body.as_bytes(), deadline)?;
            outcome::of_creation(&response, &self.redacted_url)?;
        }
        Ok(())
    }

    /// A result that comes twice changes nothing, so a request without a response is sent again.
    fn run(
        &self,
        request: RequestBuilder<'_>,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let response = request
            .header("accept", "application/json")
            .send(body, left);
        response.map_err(|error| error.repeatable_failure(&self.redacted_url))
    }
}
