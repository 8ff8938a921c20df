//! Shared by the tests: a broker, and what a subscriber gets.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use delfin_plugin_api::{Batch, testkit::TestInstance};
use delfin_tests::{receivers::Mosquitto, wait_for};
use rumqttc::v5::{
    Client, Event, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{Packet, Publish},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A broker that takes everyone, unless it has its own settings.
pub(crate) struct Broker {
    pub(crate) mosquitto: Mosquitto,
    _folder: TempDir,
}

/// What a client has received, which keeps its session while the broker is away.
pub(crate) struct Subscriber {
    messages: Arc<Mutex<Vec<Publish>>>,
    client: Client,
}

impl Broker {
    pub(crate) fn start(settings: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            mosquitto: Mosquitto::start(
                folder.path(),
                &format!("allow_anonymous true\n{settings}"),
            )?,
            _folder: folder,
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.mosquitto.port())
    }

    pub(crate) fn settings(&self) -> Value {
        json!({ "address": self.address(), "tls": false, "message_format": "json" })
    }

    /// Returns once the broker knows the subscription.
    pub(crate) fn subscribe(&self, name: &str) -> Subscriber {
        let mut options = MqttOptions::new(name, "127.0.0.1", self.mosquitto.port());
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(3600))
            .set_max_packet_size(Some(10_000_000))
            .set_keep_alive(Duration::from_secs(60));
        let (client, mut connection) = Client::new(options, 10);
        client.subscribe("delfin/#", QoS::AtLeastOnce).unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (subscribed, is_subscribed) = mpsc::channel();
        let received = Arc::clone(&messages);
        thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.send(()).unwrap_or(()),
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        received.lock().unwrap().push(message);
                    }
                    Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => break,
                    Ok(_) => {}
                    // The broker is away: the next event is that of another connection.
                    Err(_) => thread::yield_now(),
                }
            }
        });
        is_subscribed.recv_timeout(Duration::from_secs(60)).unwrap();
        Subscriber { messages, client }
    }
}

impl Subscriber {
    pub(crate) fn count(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// The messages, once there are that many.
    pub(crate) fn wait(&self, count: usize) -> Vec<Publish> {
        wait_for("messages", || (self.count() >= count).then_some(()));
        self.messages.lock().unwrap().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // The broker may be away.
        let _ = self.client.try_disconnect();
    }
}

/// The topic and the payload of a message.
pub(crate) fn parts(message: &Publish) -> (String, Value) {
    let topic = String::from_utf8(message.topic.to_vec()).unwrap();
    (topic, serde_json::from_slice(&message.payload).unwrap())
}

/// Sends a batch again until it is delivered, as the host does.
pub(crate) fn deliver(exporter: &mut TestInstance, batch: &impl Batch) {
    wait_for("a delivered batch", || exporter.send(batch).ok());
}
