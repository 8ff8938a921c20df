//! A relay in front of a server, which can be cut, stop passing bytes, or lose an answer.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::must;

/// The host in the answers of a broker of Kafka, before its port.
const HOST: &[u8] = b"127.0.0.1";

/// A relay to a port of this machine, until the process ends.
pub struct Relay {
    port: u16,
    shared: Arc<RelayState>,
}

#[derive(Default)]
struct RelayState {
    server: u16,
    port: u16,
    is_cut: AtomicBool,
    loses_answer: AtomicBool,
    is_held: Mutex<bool>,
    released: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens on a port of its own. A broker of Kafka behind it seems to have that port.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let listener = must(TcpListener::bind("127.0.0.1:0"), "listen");
        let port = must(listener.local_addr(), "listen").port();
        let shared = Arc::new(RelayState {
            server,
            port,
            ..RelayState::default()
        });
        serve(listener, &shared);
        Self { port, shared }
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Address and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The next answer of the server is not passed on, and its connection ends.
    pub fn lose_next_answer(&self) {
        self.shared.loses_answer.store(true, Ordering::SeqCst);
    }

    /// Ends all connections, and refuses new ones.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        // The listener ends with the next connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::yield_now();
        }
        for open in locked(&self.shared.open).drain(..) {
            let _ = open.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub fn restore(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(("127.0.0.1", self.port));
        serve(must(listener, "listen again"), &self.shared);
    }

    /// Keeps all bytes, as a network does that loses them: connections stay open, and nothing is answered.
    pub fn hold(&self) {
        *locked(&self.shared.is_held) = true;
    }

    /// Passes bytes on again, those that were kept first.
    pub fn release(&self) {
        *locked(&self.shared.is_held) = false;
        self.shared.released.notify_all();
    }
}

fn serve(listener: TcpListener, shared: &Arc<RelayState>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            if shared.is_cut.load(Ordering::SeqCst) {
                return;
            }
            // A client that leaves at once, or a server that is down, ends this connection only.
            let _ = connect(client, &shared);
        }
    });
}

fn connect(client: TcpStream, shared: &Arc<RelayState>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", shared.server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    locked(&shared.open).extend([client.try_clone()?, server.try_clone()?]);
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let requests = Arc::clone(shared);
    thread::spawn(move || requests.pass_on(from, to, |_| true));
    let answers = Arc::clone(shared);
    thread::spawn(move || answers.pass_on(server, client, |answer| answers.pass_answer(answer)));
    Ok(())
}

impl RelayState {
    fn pass_on(&self, mut from: TcpStream, mut to: TcpStream, pass: impl Fn(&mut [u8]) -> bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            self.wait_until_released();
            let bytes = &mut buffer[..size];
            if !pass(bytes) || to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_until_released(&self) {
        let held = locked(&self.is_held);
        drop(self.released.wait_while(held, |is_held| *is_held));
    }

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

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
