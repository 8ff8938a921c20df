//! Shared by the tests: a server, and what is in its stream.

use std::time::Duration;

use async_nats::{ConnectOptions, jetstream};
use delfin_plugin_api::{
    Batch, Uuid,
    testkit::{CallOptions, TestInstance},
};
use delfin_tests::{receivers::Nats, wait_for};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with the stream `delfin` for the subjects `delfin.>`, unless it has its own settings.
pub(crate) struct Server {
    pub(crate) nats: Nats,
    _folder: TempDir,
}

/// A message of the stream: its subject, its id, and its payload as JSON.
pub(crate) type Stored = (String, String, Value);

impl Server {
    pub(crate) fn start(settings: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = Self {
            nats: Nats::start(folder.path(), settings)?,
            _folder: folder,
        };
        let stream = jetstream::stream::Config {
            name: "delfin".to_owned(),
            subjects: vec!["delfin.>".to_owned()],
            max_message_size: 1_000_000,
            ..jetstream::stream::Config::default()
        };
        server.run(async |context| context.create_stream(stream).await.unwrap());
        Some(server)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.nats.port())
    }

    pub(crate) fn settings(&self) -> Value {
        json!({ "servers": self.address(), "tls": false, "message_format": "json" })
    }

    /// The number of messages in the stream.
    pub(crate) fn count(&self) -> u64 {
        self.run(async |context| {
            let mut stream = context.get_stream("delfin").await.unwrap();
            stream.info().await.unwrap().state.messages
        })
    }

    /// Every message in the stream, in its order.
    pub(crate) fn messages(&self) -> Vec<Stored> {
        let count = self.count() as usize;
        self.run(async |context| {
            let stream = context.get_stream("delfin").await.unwrap();
            let config = jetstream::consumer::pull::OrderedConfig::default();
            let consumer = stream.create_consumer(config).await.unwrap();
            let messages = consumer.messages().await.unwrap().take(count);
            let stored = messages.map_ok(|message| {
                let headers = message.headers.clone().unwrap_or_default();
                let id = headers.get("Nats-Msg-Id").map(ToString::to_string);
                let payload = serde_json::from_slice(&message.payload).unwrap();
                (message.subject.to_string(), id.unwrap_or_default(), payload)
            });
            stored.try_collect().await.unwrap()
        })
    }

    fn run<T>(&self, work: impl AsyncFnOnce(jetstream::Context) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let options = ConnectOptions::new().user_and_password("admin".into(), "admin".into());
            let options = options.connection_timeout(Duration::from_secs(60));
            let client = options.connect(self.address()).await.unwrap();
            work(jetstream::new(client)).await
        })
    }
}

/// Sends a batch again until it is delivered, as the host does.
pub(crate) fn deliver(exporter: &mut TestInstance, batch: &impl Batch, number: u128) {
    let call = CallOptions {
        batch_id: Uuid::from_u128(number),
        ..CallOptions::default()
    };
    wait_for("a delivered batch", || {
        exporter.send_with(batch, &call).ok()
    });
}
