//! Sends reports to the service.

pub(crate) mod service;

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Alert, Failure, Outcome,
    http::{Client, ReceiverUrl, RequestBuilder, Response},
    limiter::RateLimiter,
};
use serde_json::Value;

use self::service::IncidentService;
use crate::{config::Config, encode::Incident};

pub(crate) struct IncidentClient<S> {
    http: Client,
    config: Config<S>,
    limiter: RateLimiter,
}

/// What a service needs for the requests of a call.
pub(crate) struct ServiceConnection<'a> {
    http: &'a Client,
    url: &'a ReceiverUrl,
    limiter: &'a RateLimiter,
    deadline: Instant,
}

impl<S: IncidentService> IncidentClient<S> {
    /// A client for the service in `config`. Connects with the first request.
    pub(crate) fn new(config: Config<S>) -> Result<Self, Failure> {
        let http = Client::new(&config.http)?;
        Ok(Self {
            http: config.service.hide_secret(http, &config.url.url),
            limiter: RateLimiter::new(config.max_per_minute),
            config,
        })
    }

    pub(crate) fn incident<'a>(&self, alert: Alert<'a>) -> Incident<'a> {
        let mut summary = String::new();
        self.config.summary.write(alert, &mut summary);
        Incident::new(alert, &summary)
    }

    /// Sends the reports of one request.
    pub(crate) fn send(&self, incidents: &[Incident<'_>], deadline: Instant) -> Outcome {
        let service = &self.config.service;
        service.report(&self.connection(deadline), incidents)
    }

    /// Checks that the service answers, without a report.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        let connection = self.connection(Instant::now() + time);
        self.config.service.health(&connection)
    }

    fn connection(&self, deadline: Instant) -> ServiceConnection<'_> {
        ServiceConnection {
            http: &self.http,
            url: &self.config.url,
            limiter: &self.limiter,
            deadline,
        }
    }
}

impl ServiceConnection<'_> {
    /// Posts the one request of a report. `accepts` is whether a response with a status of success
    /// is one of the service.
    pub(crate) fn report<S: IncidentService>(
        &self,
        body: &Value,
        accepts: fn(&Response) -> bool,
    ) -> Outcome {
        let response = self.post(S::PATH, body, S::HAS_KEYS)?;
        if !response.is_success() {
            return Err(self.failure(&response));
        }
        if response.is_cut_off() {
            let message = format!("{} (the response is cut off)", self.message(&response));
            return Err(if S::HAS_KEYS {
                Failure::retry(message)
            } else {
                Failure::Uncertain { message }
            });
        }
        if !response.is_web_page() && accepts(&response) {
            return Ok(());
        }
        Err(self.foreign::<S>(&response))
    }

    /// Posts JSON. `is_repeatable`: it does no harm if the service gets the request twice.
    pub(crate) fn post(
        &self,
        path: &str,
        body: &Value,
        is_repeatable: bool,
    ) -> Result<Response, Failure> {
        let request = self.http.post(&self.url_of(path));
        let request = request.header("content-type", "application/json");
        self.send(request, body.to_string().as_bytes(), is_repeatable)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Response, Failure> {
        self.send(self.http.get(&self.url_of(path)), b"", true)
    }

    /// Sends `OPTIONS`, for a service without a request for its state. Only a report would check the
    /// credentials.
    pub(crate) fn options<S: IncidentService>(&self) -> Outcome {
        let response = self.send(self.http.options(&self.url_of("")), b"", true)?;
        response.of_options(&self.url.redacted, S::NAME)
    }

    /// What a response without success means.
    pub(crate) fn failure(&self, response: &Response) -> Failure {
        response.failure(&self.url.redacted)
    }

    /// A response for a message.
    pub(crate) fn message(&self, response: &Response) -> String {
        response.message(&self.url.redacted)
    }

    /// The failure of a response that is not one of the service.
    pub(crate) fn foreign<S: IncidentService>(&self, response: &Response) -> Failure {
        response.foreign(&self.url.redacted, S::NAME)
    }

    /// What the response to a request without content means for the health of the service, which takes it, or refuses it in the
    /// form of its errors.
    pub(crate) fn of_check<S: IncidentService>(
        &self,
        response: &Response,
        is_of_service: impl Fn(&Response) -> bool,
    ) -> Outcome {
        match response.status() {
            200..=299 | 400 if is_of_service(response) => Ok(()),
            200..=299 | 400 => Err(response.foreign_health(&self.url.redacted, S::NAME)),
            _ => Err(self.failure(response)),
        }
    }

    fn send(
        &self,
        request: RequestBuilder<'_>,
        body: &[u8],
        is_repeatable: bool,
    ) -> Result<Response, Failure> {
        self.limiter.wait(self.deadline)?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let response = request.header("accept", "*/*").send(body, left);
        response.map_err(|error| {
            let shown = &self.url.redacted;
            if is_repeatable {
                error.repeatable_failure(shown)
            } else {
                error.failure(shown)
            }
        })
    }

    fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.url.url.trim_end_matches('/'))
    }
}
