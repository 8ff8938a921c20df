//! Clients that send batches to ingest, and record the acknowledged rows.
//!
//! A request that was refused, or whose response was lost, is sent again with its idempotency key until
//! it is acknowledged. So in the end the journal has acknowledged rows only.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use delfin_plugin_api::Kind;
use delfin_tests::{Host, PATIENCE, Row};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// The batches that clients send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The most rows in a request.
    pub(crate) rows: u64,
    /// The share of rows that are poison.
    pub(crate) poison: f64,
    /// The share of rows that are hidden from exporters with a filter.
    pub(crate) hidden: f64,
}

/// Clients of both journals.
pub(crate) struct Producer {
    clients: Vec<Mutex<Client>>,
    acknowledged: Mutex<Vec<(Kind, Row)>>,
    answers: Mutex<BTreeMap<u16, u64>>,
}

struct Client {
    kind: Kind,
    number: usize,
    shape: Shape,
    random: StdRng,
    rows: u64,
    batches: u64,
    agent: ureq::Agent,
    unacknowledged: Option<Request>,
}

struct Request {
    key: String,
    rows: Vec<Row>,
    body: String,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            rows: 6,
            poison: 0.0,
            hidden: 0.0,
        }
    }
}

impl Producer {
    /// Three clients that send performance batches, and two that send alerts.
    pub(crate) fn new(random: &mut StdRng, shape: Shape) -> Self {
        let kinds = [Kind::Performance; 3].into_iter().chain([Kind::Alert; 2]);
        Self::of(kinds, random, shape)
    }

    /// One client, so that batches have one order.
    pub(crate) fn single(random: &mut StdRng, shape: Shape) -> Self {
        Self::of([Kind::Performance], random, shape)
    }

    fn of(kinds: impl IntoIterator<Item = Kind>, random: &mut StdRng, shape: Shape) -> Self {
        let clients = kinds.into_iter().enumerate().map(|(number, kind)| {
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .new_agent();
            Mutex::new(Client {
                kind,
                number,
                shape,
                random: StdRng::seed_from_u64(random.next_u64()),
                rows: 0,
                batches: 0,
                agent,
                unacknowledged: None,
            })
        });
        Self {
            clients: clients.collect(),
            acknowledged: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Each client sends this many batches; returns once all are acknowledged.
    pub(crate) fn send(&self, host: &Host, batches: usize) {
        thread::scope(|scope| {
            for client in &self.clients {
                scope.spawn(move || {
                    for _ in 0..batches {
                        host.wait_for("a batch to be acknowledged", || {
                            (self.send_next(client, host) == Some(202)).then_some(())
                        });
                    }
                });
            }
        });
    }

    /// The clients send batches until `over` is set.
    pub(crate) fn send_until(&self, host: &Host, over: &AtomicBool) {
        thread::scope(|scope| {
            for client in &self.clients {
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        self.send_next(client, host);
                        let think = lock(client).random.random_range(0..10);
                        thread::sleep(Duration::from_millis(think));
                    }
                });
            }
        });
    }

    /// Sends unacknowledged requests until they are acknowledged.
    pub(crate) fn finish(&self, host: &Host) {
        for client in &self.clients {
            host.wait_for("a repeated batch to be acknowledged", || {
                if lock(client).unacknowledged.is_some() {
                    self.send_next(client, host);
                }
                lock(client).unacknowledged.is_none().then_some(())
            });
        }
    }

    /// Sends one request of the first client: the status, if there is a response.
    pub(crate) fn send_once(&self, host: &Host) -> Option<u16> {
        self.send_next(&self.clients[0], host)
    }

    /// The acknowledged rows, in the order of the acknowledgements.
    pub(crate) fn acknowledged(&self, kind: Kind) -> Vec<Row> {
        let all = lock(&self.acknowledged);
        let of_kind = all.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, row)| row.clone()).collect()
    }

    /// The number of responses with this status.
    pub(crate) fn answers(&self, status: u16) -> u64 {
        lock(&self.answers).get(&status).copied().unwrap_or(0)
    }

    fn send_next(&self, client: &Mutex<Client>, host: &Host) -> Option<u16> {
        let mut client = lock(client);
        let kind = client.kind;
        let request = client.request();
        let (status, receipt) = client.send(&request, host.url())?;
        *lock(&self.answers).entry(status).or_default() += 1;
        if status == 202 {
            let items: u64 = request.rows.iter().map(|row| row.items).sum();
            assert_eq!(receipt["items"], items, "{receipt}");
            let rows = request.rows.into_iter().map(|row| (kind, row));
            lock(&self.acknowledged).extend(rows);
        } else {
            assert!(
                matches!(status, 429 | 503 | 507),
                "{} is answered {status}: {receipt}",
                request.key
            );
            client.unacknowledged = Some(request);
        }
        Some(status)
    }
}

impl Client {
    /// The unacknowledged request, or a new one.
    fn request(&mut self) -> Request {
        if let Some(request) = self.unacknowledged.take() {
            return request;
        }
        let count = self.random.random_range(1..=self.shape.rows);
        let rows: Vec<Row> = (0..count).map(|_| self.row()).collect();
        self.batches += 1;
        let body: Vec<Value> = rows.iter().map(|row| json_of(self.kind, row)).collect();
        Request {
            key: format!("{}-{}", self.number, self.batches),
            rows,
            body: Value::from(body).to_string(),
        }
    }

    fn row(&mut self) -> Row {
        self.rows += 1;
        let mut name = format!("c{}-{:06}", self.number, self.rows);
        if self.random.random_bool(self.shape.poison) {
            name += "-poison";
        } else if self.random.random_bool(self.shape.hidden) {
            name += "-hidden";
        }
        // Some clients have several storages in one batch.
        let storage = if self.number % 2 == 1 {
            self.random.random_range(0..2)
        } else {
            0
        };
        Row {
            name,
            storage_id: format!("storage-{}-{storage}", self.number),
            items: match self.kind {
                Kind::Performance => self.random.random_range(1..=4),
                Kind::Alert => 1,
            },
        }
    }

    /// The response, if there is one; otherwise the request stays unacknowledged.
    fn send(&mut self, request: &Request, url: &str) -> Option<(u16, Value)> {
        let journal = match self.kind {
            Kind::Performance => "performance",
            Kind::Alert => "alerts",
        };
        // Some clients do not wait for the response, and send again at once.
        let patience = if self.random.random_bool(0.05) {
            Duration::from_millis(self.random.random_range(1..20))
        } else {
            PATIENCE
        };
        let answer = self
            .agent
            .post(format!("{url}/v1/ingest/{journal}"))
            .config()
            .timeout_global(Some(patience))
            .build()
            .header("Idempotency-Key", &request.key)
            .header("Content-Type", "application/json")
            .send(&request.body)
            .ok()
            .and_then(|mut answer| {
                let receipt = answer.body_mut().read_json().ok()?;
                Some((answer.status().as_u16(), receipt))
            });
        if answer.is_none() {
            self.unacknowledged = Some(Request {
                key: request.key.clone(),
                rows: request.rows.clone(),
                body: request.body.clone(),
            });
        }
        answer
    }
}

fn json_of(kind: Kind, row: &Row) -> Value {
    match kind {
        Kind::Performance => {
            let values = (0..row.items).map(|minute| {
                let time = 1_700_000_000_000 + minute * 60_000;
                (time.to_string(), json!(minute as f64 + 0.5))
            });
            let values: serde_json::Map<_, _> = values.collect();
            json!({"name": row.name, "labels": {"storage_id": row.storage_id}, "values": values})
        }
        Kind::Alert => json!({
            "storage_id": row.storage_id, "alert_id": row.name, "alert_name": "Something is off",
            "severity": "Major", "category": "Fault", "type": "EquipmentAlarm",
            "location": row.name, "occur_time": 1_700_000_000_000_u64,
        }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no client panicked")
}
