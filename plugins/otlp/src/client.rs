//! Sends requests to the receiver, over HTTP or over gRPC.

use std::time::Instant;

use delfin_plugin_api::{
    Failure, Host, Outcome,
    grpc::{GrpcClient, GrpcEndpoint, GrpcRequest},
    http::{BodyCompressor, Client},
    protobuf::ProtobufWriter,
    workers::BufferPool,
};

use crate::{
    config::{Config, OtlpProtocol},
    encode::OtlpBatch,
    outcome::{self, PartialSuccess},
};

/// Bytes of a buffer to keep from one request to the next.
const BUFFER_BYTES: usize = 8 << 20;

/// A client for requests of one kind.
pub(crate) struct OtlpClient {
    transport: OtlpTransport,
    /// A message, and the same compressed.
    buffers: BufferPool<(ProtobufWriter, BodyCompressor)>,
    redacted_url: String,
}

enum OtlpTransport {
    Http {
        client: Client,
        url: String,
    },
    Grpc {
        client: Box<GrpcClient>,
        method: &'static str,
    },
}

/// Checks what the settings name: files, headers and the proxy.
pub(crate) fn check(config: &Config) -> Outcome {
    match config.protocol {
        OtlpProtocol::Http => Client::new(&config.http).map(drop),
        OtlpProtocol::Grpc => endpoint(config).map(drop),
    }
}

fn endpoint(config: &Config) -> Result<GrpcEndpoint, Failure> {
    GrpcEndpoint::new(&config.http, &config.url.url)
}

impl OtlpClient {
    /// A client for batches of one kind. Connects with the first request.
    pub(crate) fn new<B: OtlpBatch>(config: Config, host: &Host) -> Result<Self, Failure> {
        let url = &config.url.url;
        let transport = match config.protocol {
            OtlpProtocol::Http => OtlpTransport::Http {
                client: Client::new(&config.http)?,
                url: format!("{url}{}", B::PATH),
            },
            OtlpProtocol::Grpc => OtlpTransport::Grpc {
                client: Box::new(GrpcClient::new(endpoint(&config)?, host)?),
                method: B::METHOD,
            },
        };
        let compression = config.compression;
        let buffers = move || (ProtobufWriter::default(), BodyCompressor::new(compression));
        Ok(Self {
            transport,
            buffers: BufferPool::new(buffers),
            redacted_url: config.url.redacted,
        })
    }

    /// Sends the rows of one request. Counts points whose times OTLP cannot express.
    pub(crate) fn send<B: OtlpBatch>(&self, batch: &B, host: &Host, deadline: Instant) -> Outcome {
        self.buffers.with(|(request, compressor)| {
            request.clear(BUFFER_BYTES);
            let encoded = batch.encode(request);
            let outcome = if encoded.items == 0 {
                Ok(())
            } else {
                let sent = self.post(request.as_bytes(), compressor, deadline);
                sent.and_then(|accepted| accepted.outcome(batch.rows(), encoded.items))
            };
            match &outcome {
                // Counted after delivery: a retry encodes the same rows again.
                Ok(()) | Err(Failure::Partial { .. }) if encoded.skipped_times > 0 => {
                    host.count("times_out_of_range", encoded.skipped_times);
                }
                Ok(()) | Err(_) => {}
            }
            outcome
        })
    }

    /// Sends a request without rows.
    pub(crate) fn health(&self, deadline: Instant) -> Outcome {
        let answer = |(_, compressor): &mut (_, BodyCompressor)| {
            self.post(b"", compressor, deadline).map(drop)
        };
        self.buffers.with(answer)
    }

    /// Sends a message of the schema.
    fn post(
        &self,
        message: &[u8],
        compressor: &mut BodyCompressor,
        deadline: Instant,
    ) -> Result<PartialSuccess, Failure> {
        let time = deadline.saturating_duration_since(Instant::now());
        let shown = &self.redacted_url;
        match &self.transport {
            OtlpTransport::Http { client, url } => {
                let response = client
                    .post(url)
                    .header("content-type", "application/x-protobuf")
                    .send_compressed(message, compressor, time);
                let response = response.map_err(|error| error.failure(shown))?;
                outcome::of_response(&response, shown)
            }
            OtlpTransport::Grpc { client, method } => {
                let encoding = compressor.encoding();
                let message = compressor.compress(message).map_err(Failure::retry)?;
                let request = GrpcRequest {
                    method,
                    message,
                    encoding,
                };
                outcome::of_message(&client.call(request, time)?, shown)
            }
        }
    }
}
