//! A connection to one broker: a request, then its answer.

use std::{io, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use delfin_plugin_api::unreachable;
use kafka_protocol::{
    messages::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
        DeleteRecordsResponse, DescribeConfigsRequest, DescribeConfigsResponse, FetchRequest,
        FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
    },
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes, encode_request_header_into_buffer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::failure::BrokerFailure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker may wait for others, such as replicas. A connection waits twice as long for its answer.
pub(super) const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

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
    type Answer: Decodable + HeaderVersion;
}

macro_rules! broker_requests {
    ($($request:ty => $answer:ty, $key:ident, $version:literal;)*) => {
        $(impl BrokerRequest for $request {
            const KEY: ApiKey = ApiKey::$key;
            const VERSION: i16 = $version;
            type Answer = $answer;
        })*
    };
}

broker_requests! {
    CreateTopicsRequest => CreateTopicsResponse, CreateTopics, 4;
    DeleteRecordsRequest => DeleteRecordsResponse, DeleteRecords, 1;
    DescribeConfigsRequest => DescribeConfigsResponse, DescribeConfigs, 2;
    FetchRequest => FetchResponse, Fetch, 11;
    ListOffsetsRequest => ListOffsetsResponse, ListOffsets, 4;
    MetadataRequest => MetadataResponse, Metadata, 8;
    ProduceRequest => ProduceResponse, Produce, 7;
}

/// Bytes from and to a broker.
trait BrokerStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> BrokerStream for S {}

pub(super) struct BrokerConnection {
    address: String,
    stream: Box<dyn BrokerStream>,
    requests: i32,
}

impl BrokerConnection {
    /// Connects to `host:port`, with TLS if there is a configuration of it.
    pub(super) async fn open(
        address: &str,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, BrokerFailure> {
        let opened = timeout(CONNECT_TIMEOUT, connect(address, tls)).await;
        let late = || BrokerFailure::of_broker(address, unreachable::NOT_IN_TIME);
        let opened = opened.map_err(|_| late())?;
        Ok(Self {
            address: address.to_owned(),
            stream: opened
                .map_err(|error| BrokerFailure::connecting(address, &error, tls.is_some()))?,
            requests: 0,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for its answer. After an error, the connection cannot be used.
    pub(super) async fn call<R: BrokerRequest>(
        &mut self,
        request: &R,
    ) -> Result<R::Answer, BrokerFailure> {
        let answered = timeout(BROKER_TIMEOUT * 2, self.exchange(request)).await;
        answered.unwrap_or_else(|_| Err(BrokerFailure::silent(&self.address)))
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
