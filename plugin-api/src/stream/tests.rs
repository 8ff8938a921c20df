#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::json;

use super::*;
use crate::{setting::Mistakes, testkit::check_outcome};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A connector to a receiver that does this with its connections, one after the other.
fn receiver(serve: impl Fn(TcpStream) + Send + 'static) -> Connector {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    connector(port)
}

fn connector(port: u16) -> Connector {
    let mut mistakes = Mistakes::default();
    let address = json!(format!("127.0.0.1:{port}"));
    let address = Address::read("address", Some(address), 1, &mut mistakes).unwrap();
    Connector::new(address, None).unwrap()
}

fn send(connector: &Connector, bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
    let mut connection = connector.connect(deadline)?;
    let sent = connection.write_all(bytes);
    sent.and_then(|()| connection.close_confirmed())
        .map_err(|error| connector.send_failure(&error))
}

#[test]
fn the_close_of_a_receiver_that_has_read_everything_confirms() {
    let (sender, received) = mpsc::channel();
    let connector = receiver(move |mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        sender.send(bytes).unwrap();
    });
    let sent = vec![7; 1 << 20];
    assert_eq!(send(&connector, &sent, soon()), Ok(()));
    assert_eq!(received.recv().unwrap(), sent);
}

#[test]
fn a_receiver_that_closes_before_the_end_confirms_nothing() {
    // It closes with bytes unread, which resets the connection.
    let reset = receiver(|mut stream| drop(stream.read(&mut [0])));
    check_outcome(
        &send(&reset, &[7; 1 << 20], soon()),
        "uncertain",
        "127.0.0.1",
    );
    // It ends its side first, and then reads everything.
    let early = receiver(|mut stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let mut connection = early.connect(soon()).unwrap();
    connection.write_all(b"x").unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap(), 0);
    connection.close_confirmed().unwrap_err();
}

#[test]
fn a_receiver_that_does_not_close_is_uncertain_at_the_deadline() {
    let (sender, open) = mpsc::channel();
    let connector = receiver(move |stream| sender.send(stream).unwrap());
    let deadline = Instant::now() + Duration::from_millis(200);
    let outcome = send(&connector, b"x", deadline);
    check_outcome(&outcome, "uncertain", "does not answer in time");
    drop(open);
}

#[test]
fn without_a_receiver_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = send(&connector(port), b"x", soon());
    check_outcome(&refused, "retry", "refused (start the receiver");
    let past = send(&connector(port), b"x", Instant::now());
    check_outcome(&past, "retry", "cannot connect in time");
}

#[test]
fn a_receiver_without_tls_is_misconfigured() {
    let plain = receiver(|mut stream| drop(stream.write_all(b"220 mail ready\r\n")));
    let tls = Connector::new(plain.address().clone(), Some(&Tls::default())).unwrap();
    let outcome = tls.connect(soon()).map(drop);
    check_outcome(&outcome, "misconfigured", "does not speak TLS");
    // It closes the connection, and says nothing.
    let silent = receiver(|mut stream| drop(stream.read(&mut [0; 1024])));
    let tls = Connector::new(silent.address().clone(), Some(&Tls::default())).unwrap();
    let outcome = tls.connect(soon()).map(drop);
    check_outcome(&outcome, "retry", "has TLS at this port");
}
