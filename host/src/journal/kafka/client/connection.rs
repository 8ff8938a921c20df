//! A connection to one broker: a request, then its answer.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use delfin_plugin_api::unreachable;
use kafka_protocol::{
    messages::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
        DeleteRecordsResponse, DescribeConfigsRequest, DescribeConfigsResponse, FetchRequest,
        FetchResponse, FindCoordinatorRequest, FindCoordinatorResponse, ListOffsetsRequest,
        ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
        OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, ProduceRequest,
        ProduceResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    },
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes, encode_request_header_into_buffer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::failure::BrokerFailure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker may take for an answer, in addition to the time in which it waits for others.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker may wait for others, such as replicas.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// After which time without an answer a broker is called silent.
const SILENCE: Duration = Duration::from_secs(3);

/// [`BROKER_TIMEOUT`] in a request.
pub(super) fn broker_timeout_ms() -> i32 {
    i32::try_from(BROKER_TIMEOUT.as_millis()).unwrap_or(i32::MAX)
}

/// The start of an alert of TLS, in place of the size of an answer.
const TLS_ALERT: [u8; 2] = [21, 3];

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A request with the version that is used: the newest that brokers since 2.4 have and that needs no
/// further fields.
pub(super) trait BrokerRequest: Encodable + HeaderVersion {
    const KEY: ApiKey;
    const VERSION: i16;
    /// How long the broker may wait for others before it answers.
    const WAIT: Duration;
    type Answer: Decodable + HeaderVersion;
}

macro_rules! broker_requests {
    ($($request:ty => $answer:ty, $key:ident, $version:literal, $wait:expr;)*) => {
        $(impl BrokerRequest for $request {
            const KEY: ApiKey = ApiKey::$key;
            const VERSION: i16 = $version;
            const WAIT: Duration = $wait;
            type Answer = $answer;
        })*
    };
}

broker_requests! {
    CreateTopicsRequest => CreateTopicsResponse, CreateTopics, 4, BROKER_TIMEOUT;
    DeleteRecordsRequest => DeleteRecordsResponse, DeleteRecords, 1, BROKER_TIMEOUT;
    DescribeConfigsRequest => DescribeConfigsResponse, DescribeConfigs, 2, Duration::ZERO;
    FetchRequest => FetchResponse, Fetch, 11, Duration::ZERO;
    FindCoordinatorRequest => FindCoordinatorResponse, FindCoordinator, 2, Duration::ZERO;
    ListOffsetsRequest => ListOffsetsResponse, ListOffsets, 4, Duration::ZERO;
    MetadataRequest => MetadataResponse, Metadata, 8, Duration::ZERO;
    OffsetCommitRequest => OffsetCommitResponse, OffsetCommit, 7, Duration::ZERO;
    OffsetDeleteRequest => OffsetDeleteResponse, OffsetDelete, 0, Duration::ZERO;
    ProduceRequest => ProduceResponse, Produce, 7, BROKER_TIMEOUT;
    SaslAuthenticateRequest => SaslAuthenticateResponse, SaslAuthenticate, 1, Duration::ZERO;
    SaslHandshakeRequest => SaslHandshakeResponse, SaslHandshake, 1, Duration::ZERO;
}

/// How connections to brokers are opened, and which broker keeps its client waiting.
#[derive(Clone, Debug)]
pub(super) struct BrokerAccess {
    /// `None`: connections without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The broker that has a request for longer than usual and has not answered yet.
    pub(super) silent: watch::Sender<Option<BrokerFailure>>,
}

impl BrokerAccess {
    /// Waits for a broker, at most for a time. `silence` is the failure if it takes longer.
    async fn wait<T>(
        &self,
        limit: Duration,
        silence: BrokerFailure,
        answer: impl Future<Output = T>,
    ) -> Result<T, BrokerFailure> {
        let mut answer = pin!(answer);
        if let Ok(answered) = timeout(SILENCE, &mut answer).await {
            return Ok(answered);
        }
        self.silent.send_replace(Some(silence.clone()));
        let answered = timeout(limit - SILENCE, answer).await;
        self.silent.send_replace(None);
        answered.map_err(|_| silence)
    }
}

/// Bytes from and to a broker.
trait BrokerStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> BrokerStream for S {}

pub(super) struct BrokerConnection {
    address: String,
    access: BrokerAccess,
    stream: Box<dyn BrokerStream>,
    requests: i32,
    /// When the broker wants another login; `None`: never.
    login_ends: Option<Instant>,
}

impl BrokerConnection {
    /// Connects to `host:port`.
    pub(super) async fn open(address: &str, access: &BrokerAccess) -> Result<Self, BrokerFailure> {
        let tls = access.tls.as_ref();
        let late = BrokerFailure::unreachable(address, unreachable::NOT_IN_TIME);
        let opened = access.wait(CONNECT_TIMEOUT, late, connect(address, tls));
        let opened = opened.await?;
        Ok(Self {
            address: address.to_owned(),
            access: access.clone(),
            stream: opened
                .map_err(|error| BrokerFailure::connecting(address, &error, tls.is_some()))?,
            requests: 0,
            login_ends: None,
        })
    }

    /// The broker takes requests for this time after a login; `None`: without an end.
    pub(super) fn end_login_after(&mut self, lifetime: Option<Duration>) {
        self.login_ends = lifetime.map(|lifetime| Instant::now() + lifetime * 9 / 10);
    }

    /// Whether the broker takes further requests on this connection.
    pub(super) fn is_logged_in(&self) -> bool {
        self.login_ends.is_none_or(|end| Instant::now() < end)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for its answer. After an error, the connection cannot be used.
    pub(super) async fn call<R: BrokerRequest>(
        &mut self,
        request: &R,
    ) -> Result<R::Answer, BrokerFailure> {
        let (access, silence) = (self.access.clone(), BrokerFailure::silent(&self.address));
        let limit = ANSWER_TIMEOUT + R::WAIT;
        access.wait(limit, silence, self.exchange(request)).await?
    }

    async fn exchange<R: BrokerRequest>(
        &mut self,
        request: &R,
    ) -> Result<R::Answer, BrokerFailure> {
        self.requests = self.requests.wrapping_add(1);
        let frame = self
            .frame(request)
            .map_err(|error| BrokerFailure::of_broker(&self.address, error))?;
        let interrupted = |error| BrokerFailure::interrupted(&self.address, &error);
        self.stream.write_all(&frame).await.map_err(interrupted)?;
        let size = self.stream.read_i32().await.map_err(interrupted)?;
        if size.to_be_bytes().starts_with(&TLS_ALERT) {
            return Err(BrokerFailure::encrypted(&self.address));
        }
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= MAX_ANSWER_BYTES)
            .ok_or_else(|| {
                BrokerFailure::garbled(&self.address, format_args!("it has a size of {size} bytes"))
            })?;
        let mut answer = BytesMut::zeroed(size);
        self.stream
            .read_exact(&mut answer)
            .await
            .map_err(interrupted)?;
        self.decode::<R>(answer.freeze())
    }

    fn frame<R: BrokerRequest>(&self, request: &R) -> Result<Bytes, String> {
        let mut header = RequestHeader::default();
        header.request_api_key = R::KEY as i16;
        header.request_api_version = R::VERSION;
        header.correlation_id = self.requests;
        header.client_id = Some(StrBytes::from_static_str("delfin-host"));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        encode_request_header_into_buffer(&mut frame, &header)
            .and_then(|()| request.encode(&mut frame, R::VERSION))
            .map_err(|error| format!("the request cannot be encoded: {error}"))?;
        let size = i32::try_from(frame.len() - size_of::<i32>())
            .map_err(|_| "the request is larger than the protocol allows".to_owned())?;
        frame[..size_of::<i32>()].copy_from_slice(&size.to_be_bytes());
        Ok(frame.freeze())
    }

    fn decode<R: BrokerRequest>(&self, mut answer: Bytes) -> Result<R::Answer, BrokerFailure> {
        let garbled = |error: String| BrokerFailure::garbled(&self.address, error);
        let version = R::Answer::header_version(R::VERSION);
        let header = ResponseHeader::decode(&mut answer, version)
            .map_err(|error| garbled(error.to_string()))?;
        if header.correlation_id != self.requests {
            return Err(garbled("it belongs to another request".to_owned()));
        }
        R::Answer::decode(&mut answer, R::VERSION).map_err(|error| garbled(error.to_string()))
    }
}

async fn connect(
    address: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Box<dyn BrokerStream>> {
    let stream = TcpStream::connect(address).await?;
    // A request is written as a whole, and its answer is waited for.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Box::new(stream));
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let encrypted = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    Ok(Box::new(encrypted.await?))
}
