//! Puts files into a bucket of S3. `object_store` signs the requests, and the client of the kit
//! sends them, so that certificates and proxies are those of other exporters.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use delfin_plugin_api::{
    Failure, Host, Outcome,
    http::{Client, RequestError, Response},
    runtime::AsyncRuntime,
};
use http_body_util::BodyExt;
use object_store::{
    ClientOptions, ObjectStoreExt, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
    path::Path,
};

use crate::{config::S3Settings, outcome};

/// An empty object, which readers of a dataset leave out.
const PROBE: &str = "_delfin-host";

/// A bucket.
pub(crate) struct S3Client {
    store: AmazonS3,
    calls: Arc<Mutex<PutCall>>,
    runtime: AsyncRuntime,
    prefix: String,
    shown: String,
}

/// The call that a request belongs to.
#[derive(Debug, Default)]
struct PutCall {
    /// `None`: no request is allowed.
    deadline: Option<Instant>,
    /// How the last request ended.
    result: Option<Result<Response, RequestError>>,
}

/// The client of the kit, as `object_store` sees it.
#[derive(Clone)]
struct KitClient {
    client: Client,
    calls: Arc<Mutex<PutCall>>,
}

/// Checks the files that the settings name.
pub(crate) fn check(settings: &S3Settings) -> Outcome {
    store(settings, &Arc::default()).map(drop)
}

impl S3Client {
    /// A client for a bucket. Connects with the first file.
    pub(crate) fn new(settings: &S3Settings, host: &Host) -> Result<Self, Failure> {
        let calls = Arc::default();
        Ok(Self {
            store: store(settings, &calls)?,
            calls,
            runtime: AsyncRuntime::new(host)?,
            prefix: settings.prefix.clone(),
            shown: settings.shown(),
        })
    }

    /// Stores a file. One with the same path is replaced.
    pub(crate) fn put(&self, path: &str, content: Vec<u8>, time: Duration) -> Outcome {
        let path = format!("{}{path}", self.prefix);
        let path = Path::parse(path).map_err(Failure::misconfigured)?;
        *self.call() = PutCall {
            deadline: Some(Instant::now() + time),
            result: None,
        };
        let put = self.store.put(&path, PutPayload::from(content));
        let Some(put) = self.runtime.run(time, put) else {
            return Err(Failure::retry(format!(
                "`{}`: no time left to send",
                self.shown
            )));
        };
        let Err(error) = put else {
            return Ok(());
        };
        Err(match self.call().result.take() {
            Some(Ok(response)) => outcome::failure(&response, &self.shown),
            // Not uncertain: the file is replaced by the next attempt.
            Some(Err(error)) => error.repeatable_failure(&self.shown),
            None => Failure::misconfigured(error),
        })
    }

    /// Stores an empty file.
    pub(crate) fn health(&self, time: Duration) -> Outcome {
        self.put(PROBE, Vec::new(), time)
    }

    fn call(&self) -> std::sync::MutexGuard<'_, PutCall> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store(settings: &S3Settings, calls: &Arc<Mutex<PutCall>>) -> Result<AmazonS3, Failure> {
    let client = KitClient {
        client: Client::new(&settings.http)?,
        calls: Arc::clone(calls),
    };
    let mut store = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_access_key_id(&settings.access_key_id)
        .with_secret_access_key(settings.secret_access_key.reveal())
        // The host retries.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .with_http_connector(client);
    store = match &settings.url {
        Some(url) => store.with_endpoint(&url.url).with_allow_http(true),
        None => store.with_virtual_hosted_style_request(true),
    };
    store.build().map_err(Failure::misconfigured)
}

impl HttpConnector for KitClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for KitClient {
    /// Blocks: the runtime has nothing else to do.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut request = self.client.request(parts.method, &parts.uri.to_string());
        for (name, value) in &parts.headers {
            let value = value.to_str();
            let value = value.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
            request = request.header(name.as_str(), value);
        }
        let mut call = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = call.deadline.take();
        let time = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let result = request.send(&body, time.unwrap_or_default());
        call.result = Some(result.clone());
        let unknown = |error: RequestError| io::Error::other(error.to_string());
        let response =
            result.map_err(|error| HttpError::new(HttpErrorKind::Unknown, unknown(error)))?;
        let content = response.beginning().to_vec();
        let mut answer = HttpResponse::new(HttpResponseBody::from(content));
        let status = response.status().try_into();
        *answer.status_mut() =
            status.map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        *answer.headers_mut() = response.headers().clone();
        Ok(answer)
    }
}

impl std::fmt::Debug for KitClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KitClient")
    }
}
