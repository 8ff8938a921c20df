//! A relay in front of a server, which can be cut, or lose an answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The host in the answers of a broker, before its port.
const HOST: &[u8] = b"127.0.0.1";

pub(super) struct Relay {
    port: u16,
    shared: Arc<RelayState>,
}

#[derive(Default)]
struct RelayState {
    server: u16,
    port: u16,
    is_cut: AtomicBool,
    loses_answer: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub(super) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(RelayState {
            server,
            port,
            ..RelayState::default()
        });
        serve(listener, &shared);
        Self { port, shared }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The next answer of the server is not passed on, and its connection ends.
    pub(super) fn lose_next_answer(&self) {
        self.shared.loses_answer.store(true, Ordering::SeqCst);
    }

    /// Ends all connections, and refuses new ones.
    pub(super) fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        // The listener ends with the next connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::yield_now();
        }
        for open in self.shared.open.lock().unwrap().drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub(super) fn restore(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
        serve(
            TcpListener::bind(("127.0.0.1", self.port)).unwrap(),
            &self.shared,
        );
    }
}

fn serve(listener: TcpListener, shared: &Arc<RelayState>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            if shared.is_cut.load(Ordering::SeqCst) {
                return;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", shared.server)) else {
                continue;
            };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let mut open = shared.open.lock().unwrap();
            open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
            drop(open);
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass_on(from, to, |_| true));
            let shared = Arc::clone(&shared);
            thread::spawn(move || pass_on(server, client, |answer| shared.pass_answer(answer)));
        }
    });
}

impl RelayState {
    /// Puts the port of the relay into what a broker says of itself. False: the answer is lost.
    fn pass_answer(&self, answer: &mut [u8]) -> bool {
        if self.loses_answer.swap(false, Ordering::SeqCst) {
            return false;
        }
        let (theirs, ours) = (u32::from(self.server), u32::from(self.port));
        let said = [HOST, &theirs.to_be_bytes()].concat();
        let mut at = 0;
        while let Some(found) = answer[at..]
            .windows(said.len())
            .position(|part| part == said)
        {
            at += found + said.len();
            answer[at - 4..at].copy_from_slice(&ours.to_be_bytes());
        }
        true
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, pass: impl Fn(&mut [u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..size];
        if !pass(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
