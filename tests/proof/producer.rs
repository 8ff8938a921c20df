//! Clients that hand batches in, and remember what was acknowledged.
//!
//! A request whose answer was lost, or that was refused, is sent again under its
//! key until it is acknowledged: in the end there is nothing else in the journal.

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

/// What clients hand in.
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
    waiting: Option<Request>,
}

/// What is sent until it is acknowledged.
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
    /// Three clients that hand in performance, and two that hand in alerts.
    pub(crate) fn new(random: &mut StdRng, shape: Shape) -> Self {
        let kinds = [Kind::Performance; 3].into_iter().chain([Kind::Alert; 2]);
        Self::of(kinds, random, shape)
    }

    /// One client, whose batches have an order.
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
                waiting: None,
            })
        });
        Self {
            clients: clients.collect(),
            acknowledged: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Each client hands that many batches in; over once all are acknowledged.
    pub(crate) fn hand_in(&self, host: &Host, batches: usize) {
        thread::scope(|scope| {
            for client in &self.clients {
                scope.spawn(move || {
                    for _ in 0..batches {
                        host.wait_for("a batch to be acknowledged", || {
                            (self.ask(client, host) == Some(202)).then_some(())
                        });
                    }
                });
            }
        });
    }

    /// The clients hand batches in until they are told that it is over.
    pub(crate) fn hand_in_until(&self, host: &Host, over: &AtomicBool) {
        thread::scope(|scope| {
            for client in &self.clients {
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        self.ask(client, host);
                        let think = lock(client).random.random_range(0..10);
                        thread::sleep(Duration::from_millis(think));
                    }
                });
            }
        });
    }

    /// Has what waits for its acknowledgement acknowledged.
    pub(crate) fn finish(&self, host: &Host) {
        for client in &self.clients {
            host.wait_for("a repeated batch to be acknowledged", || {
                if lock(client).waiting.is_some() {
                    self.ask(client, host);
                }
                lock(client).waiting.is_none().then_some(())
            });
        }
    }

    /// Sends a client's request once; the status of the answer, if one came.
    pub(crate) fn ask_once(&self, host: &Host) -> Option<u16> {
        self.ask(&self.clients[0], host)
    }

    /// What was acknowledged, in that order.
    pub(crate) fn acknowledged(&self, kind: Kind) -> Vec<Row> {
        let all = lock(&self.acknowledged);
        let of_kind = all.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, row)| row.clone()).collect()
    }

    /// How often a status was answered.
    pub(crate) fn answers(&self, status: u16) -> u64 {
        lock(&self.answers).get(&status).copied().unwrap_or(0)
    }

    fn ask(&self, client: &Mutex<Client>, host: &Host) -> Option<u16> {
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
            client.waiting = Some(request);
        }
        Some(status)
    }
}

impl Client {
    /// The one that waits, or a new one.
    fn request(&mut self) -> Request {
        if let Some(request) = self.waiting.take() {
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
        // Some clients speak of several storages in one batch.
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

    /// The answer, if one came; else the request waits for the next try.
    fn send(&mut self, request: &Request, url: &str) -> Option<(u16, Value)> {
        let journal = match self.kind {
            Kind::Performance => "performance",
            Kind::Alert => "alerts",
        };
        // Some clients do not wait for the answer, and ask again at once.
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
            self.waiting = Some(Request {
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
