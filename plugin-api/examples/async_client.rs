//! An exporter with an async client: it owns a tokio runtime, and blocks in `export`.
//!
//! The page "Async clients" of the guide explains it.

use std::{net::SocketAddr, time::Duration};

use delfin_plugin_api::{
    Context, Exporter, Failure, Host, Outcome, PerformanceBatch, log, serde::Deserialize,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, runtime::Runtime};

/// Writes the name of each series to a TCP connection, one a line.
pub struct LineExporter {
    runtime: Runtime,
    config: Config,
    host: Host,
}

/// The settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
pub struct Config {
    address: SocketAddr,
}

impl Exporter for LineExporter {
    type Batch = PerformanceBatch;
    type Config = Config;

    const EXCLUSIVE: bool = false;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        let for_threads = host.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            // Log records of the runtime's threads get the exporter's name. A thread keeps the
            // guard as long as it lives.
            .on_thread_start(move || std::mem::forget(for_threads.enter()))
            .build()
            .map_err(Failure::retry)?;
        Ok(Self {
            runtime,
            config,
            host: host.clone(),
        })
    }

    fn export(&mut self, batch: &PerformanceBatch, context: &Context<'_>) -> Outcome {
        let _entered = self.host.enter();
        // Less than the call may take, so that it returns before its deadline.
        let time = context.remaining().mul_f32(0.9);
        let lines: String = batch
            .series()
            .map(|series| format!("{}\n", series.name()))
            .collect();
        self.runtime.block_on(send(&self.config, &lines, time))
    }
}

async fn send(config: &Config, lines: &str, time: Duration) -> Outcome {
    let sent = async {
        let mut stream = TcpStream::connect(config.address).await?;
        stream.write_all(lines.as_bytes()).await?;
        stream.shutdown().await
    };
    match tokio::time::timeout(time, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::retry(error)),
        Err(_) => Err(Failure::Uncertain {
            message: format!("`{}` does not answer in time", config.address),
        }),
    }
    .inspect_err(|failure| log::debug!(failure:%; "lines not sent"))
}
