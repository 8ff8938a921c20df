//! Connects to a receiver of gRPC calls.
//!
//! Promises: a receiver's certificate is always verified; only the proxy of the settings is used;
//! no message shows a secret.

use std::{sync::Arc, time::Duration};

use hyper::{
    client::conn::http1,
    header::{HeaderMap, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT},
    http::Request,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use ureq::{Proxy, Timeout, http::Uri};

use super::transport::{GrpcTlsTransport, GrpcTransport, TlsFailure};
use crate::{
    Failure,
    http::{
        Authorization, Client, ClientSettings, ErrorKind, NamedProxy, RequestError,
        handshake_error, redact_url,
    },
    redact::Redactor,
    setting::Secret,
};

/// The longest time to connect in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The name of HTTP/2 in TLS.
const HTTP2: &[u8] = b"h2";

/// A receiver of gRPC calls, and how to connect to it.
pub struct GrpcEndpoint {
    /// `http` or `https`, and the authority.
    pub(super) base: String,
    /// The URL for messages.
    pub(super) redacted: String,
    /// The headers of every call.
    pub(super) headers: HeaderMap,
    /// Fetches tokens, if the settings have client credentials.
    pub(super) tokens: Option<Client>,
    /// Hides what the receiver may repeat.
    pub(super) redactor: Redactor,
    address: (String, u16),
    tls: Option<(TlsConnector, ServerName<'static>)>,
    proxy: Option<Tunnel>,
}

/// A proxy that connects to the receiver.
struct Tunnel {
    name: NamedProxy,
    address: (String, u16),
    authorization: Option<HeaderValue>,
}

impl GrpcEndpoint {
    /// An endpoint with the settings of a client. `url` is `http://` or `https://`, a host and a
    /// port; see [`ReceiverUrl`](crate::http::ReceiverUrl).
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] if a file, the URL, that of the proxy or a header cannot be used.
    pub fn new(settings: &ClientSettings, url: &str) -> Result<Self, Failure> {
        let redacted = redact_url(url);
        let unusable = || Failure::misconfigured(format!("`{redacted}` is not a URL for gRPC"));
        let uri: Uri = url.parse().map_err(|_| unusable())?;
        let authority = uri.authority().ok_or_else(unusable)?;
        let is_encrypted = uri.scheme_str() == Some("https");
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if is_encrypted { 443 } else { 80 });
        let tls = is_encrypted.then(|| {
            let mut config = settings.tls.config()?;
            config.alpn_protocols = vec![HTTP2.to_vec()];
            let name = ServerName::try_from(host.clone()).map_err(|_| unusable())?;
            Ok((TlsConnector::from(Arc::new(config)), name))
        });
        let mut headers = HeaderMap::from_iter(settings.header_values()?);
        let agent = HeaderValue::from_str(&settings.user_agent);
        headers.extend(agent.ok().map(|agent| (USER_AGENT, agent)));
        let tokens = settings.oauth2.as_ref().map(|_| Client::new(settings));
        Ok(Self {
            tokens: tokens.transpose()?,
            base: format!("{}://{authority}", uri.scheme_str().unwrap_or("http")),
            tls: tls.transpose()?,
            proxy: settings.proxy()?.map(|proxy| Tunnel::new(&proxy)),
            redactor: settings.redactor(),
            address: (host, port),
            redacted,
            headers,
        })
    }

    /// Opens a connection. `failure` will have the reason if TLS fails later.
    pub(super) async fn connect(
        &self,
        failure: &TlsFailure,
    ) -> Result<Box<dyn GrpcTransport>, RequestError> {
        let late = |_| ureq::Error::Timeout(Timeout::Connect);
        let transport = tokio::time::timeout(CONNECT_TIMEOUT, self.open()).await;
        let transport = transport.map_err(|elapsed| self.error(&late(elapsed)))??;
        let Some((connector, name)) = &self.tls else {
            return Ok(transport);
        };
        let handshake = connector.connect(name.clone(), transport);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake).await;
        let stream = stream.unwrap_or_else(|elapsed| Err(late(elapsed).into_io()));
        let stream = stream.map_err(|error| RequestError::new(&handshake_error(error), false))?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
            return Err(not_http2("the receiver offers no HTTP/2 in TLS"));
        }
        let failure = failure.clone();
        Ok(Box::new(GrpcTlsTransport { stream, failure }))
    }

    /// Connects to the receiver, or through the proxy.
    async fn open(&self) -> Result<Box<dyn GrpcTransport>, RequestError> {
        Ok(match &self.proxy {
            None => Box::new(connect(&self.address).await.map_err(|e| self.error(&e))?),
            Some(proxy) => Box::new(proxy.connect(&self.address).await?),
        })
    }

    fn error(&self, error: &ureq::Error) -> RequestError {
        let proxy = self.proxy.as_ref().map(|proxy| &proxy.name);
        NamedProxy::error_of(proxy, error, false)
    }
}

impl Tunnel {
    fn new(proxy: &Proxy) -> Self {
        let basic = proxy.username().map(|username| Authorization::Basic {
            username: username.to_owned(),
            password: Secret::new(proxy.password().unwrap_or_default()),
        });
        Self {
            name: NamedProxy::new(proxy),
            address: (proxy.host().to_owned(), proxy.port()),
            // A text in base64 is a valid header.
            authorization: basic
                .and_then(|basic| HeaderValue::from_str(basic.header().reveal()).ok()),
        }
    }

    /// Connects to the receiver with `CONNECT`.
    async fn connect(
        &self,
        (host, port): &(String, u16),
    ) -> Result<impl GrpcTransport + use<>, RequestError> {
        let failed = |error: &dyn std::fmt::Display| self.name.unusable(&error.to_string());
        let socket = connect(&self.address).await;
        let socket =
            socket.map_err(|error| self.name.error(&error).unwrap_or_else(|| failed(&error)));
        let socket = TokioIo::new(socket?);
        let (mut sender, connection) = http1::handshake(socket).await.map_err(|e| failed(&e))?;
        tokio::spawn(connection.with_upgrades());
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let mut request = Request::connect(&authority).header("host", &authority);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let request = request.body(String::new()).map_err(|e| failed(&e))?;
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        if !response.status().is_success() {
            return Err(self.name.refusal(response.status().as_u16()));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|e| failed(&e))?;
        Ok(TokioIo::new(upgraded))
    }
}

async fn connect((host, port): &(String, u16)) -> Result<TcpStream, ureq::Error> {
    let found = tokio::net::lookup_host((host.as_str(), *port)).await;
    let addresses: Vec<_> = found.map_err(|_| ureq::Error::HostNotFound)?.collect();
    let socket = TcpStream::connect(&*addresses).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The receiver speaks something else.
pub(super) fn not_http2(reason: &str) -> RequestError {
    RequestError {
        kind: ErrorKind::NotHttp,
        reason: format!("{reason} (check the port, often 4317, and whether it wants `https`)"),
    }
}
