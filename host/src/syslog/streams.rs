//! Receives messages over TCP and TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    framing::FrameSplitter,
    input::SyslogInput,
    stats::{SyslogRefusal, SyslogTransport},
};
use crate::{access::TlsStore, panics::ContainedFuture};

/// How many bytes are read at a time.
const READ_BYTES: usize = 16 << 10;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an error of `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections on one address.
pub(super) struct StreamServer {
    pub(super) listener: TcpListener,
    /// `None`: connections are not encrypted.
    pub(super) tls: Option<Arc<TlsStore>>,
    pub(super) input: SyslogInput,
    /// The connections that can be open at the same time, over all addresses.
    pub(super) places: Arc<Semaphore>,
}

impl StreamServer {
    /// Runs until it is dropped, and with it the open connections.
    pub(super) async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => self.begin(stream, from, &mut connections),
                    Err(error) => {
                        self.input.report("accept", &error.to_string(), |suppressed| {
                            log::warn!(error:%, suppressed; "a syslog connection cannot be accepted");
                        });
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Starts to read a connection, unless its sender is unknown.
    fn begin(&self, stream: TcpStream, from: SocketAddr, connections: &mut JoinSet<()>) {
        if !self.input.senders.is_known(from.ip()) {
            self.input.refuse(SyslogRefusal::UnknownSender, from.ip());
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.input
                .refuse(SyslogRefusal::TooManyConnections, from.ip());
            return;
        };
        let (tls, input) = (self.tls.clone(), self.input.clone());
        connections.spawn(ContainedFuture::new(async move {
            let _place = place;
            input.stats.connection_opened();
            serve(stream, from, tls, &input).await;
            input.stats.connection_closed();
        }));
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<TlsStore>>,
    input: &SyslogInput,
) {
    let Some(tls) = tls else {
        return read(stream, from, SyslogTransport::Tcp, input).await;
    };
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => read(stream, from, SyslogTransport::Tls, input).await,
        Ok(Err(_)) | Err(_) => input.refuse(SyslogRefusal::Handshake, from.ip()),
    }
}

/// Reads messages until the sender closes the connection.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    from: SocketAddr,
    transport: SyslogTransport,
    input: &SyslogInput,
) {
    let mut splitter = FrameSplitter::new(input.max_message_bytes);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let length = match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // What has arrived before is a message.
            Err(_) => break,
        };
        let mut messages = Vec::new();
        splitter.add(&buffer[..length], |message| messages.push(message));
        input.stats.count_cut_off(splitter.take_cut_off());
        for message in messages {
            if !forward(&message, from, transport, input).await {
                return;
            }
        }
    }
    if let Some(message) = splitter.finish() {
        forward(&message, from, transport, input).await;
    }
}

/// Returns whether anything waits for messages.
async fn forward(
    message: &[u8],
    from: SocketAddr,
    transport: SyslogTransport,
    input: &SyslogInput,
) -> bool {
    match input.accept(message, from.ip(), transport) {
        Some(message) => input.received.send(message).await.is_ok(),
        None => true,
    }
}
