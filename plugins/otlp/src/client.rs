//! Sends requests to the receiver, over HTTP or over gRPC.

use std::time::Duration;

use delfin_plugin_api::{
    Failure, Host, Outcome,
    grpc::{GrpcClient, GrpcEndpoint, GrpcRequest},
    http::{BodyCompressor, Client},
};

use crate::{
    config::{Config, OtlpProtocol},
    encode::OtlpBatch,
    outcome::{self, PartialSuccess},
};

/// A client for requests of one kind.
pub(crate) struct OtlpClient {
    transport: OtlpTransport,
    compressor: BodyCompressor,
    config: Config,
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
        Ok(Self {
            transport,
            compressor: BodyCompressor::new(config.compression),
            config,
        })
    }

    /// Sends a message of the schema. An empty one has no rows.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        time: Duration,
    ) -> Result<PartialSuccess, Failure> {
        let Self {
            transport,
            compressor,
            config,
        } = self;
        let shown = &config.url.redacted;
        match transport {
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
