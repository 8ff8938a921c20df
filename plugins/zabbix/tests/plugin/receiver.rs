//! A receiver that speaks the protocol of Zabbix.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// Takes values, and remembers the requests.
pub(crate) struct ValueReceiver {
    port: u16,
    requests: Arc<Mutex<Vec<Vec<Value>>>>,
}

impl ValueReceiver {
    /// A receiver that accepts the values for which this returns true.
    pub(crate) fn start(accepts: impl Fn(&Value) -> bool + Send + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Vec<Value>>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let port = serve(move |stream| {
            let request: Value = serde_json::from_slice(&read_request(stream)?)?;
            let values = request["data"].as_array().cloned().unwrap_or_default();
            let total = values.len();
            let failed = values.iter().filter(|value| !accepts(value)).count();
            let info = format!(
                "processed: {}; failed: {failed}; total: {total}; seconds spent: 0.000055",
                total - failed
            );
            let answer = json!({ "response": "success", "info": info });
            seen.lock().unwrap().push(values);
            write_answer(stream, answer.to_string().as_bytes())
        });
        Self { port, requests }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The values of each request so far, which are forgotten then.
    pub(crate) fn take_requests(&self) -> Vec<Vec<Value>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// The port of a receiver that does this with each connection.
pub(crate) fn serve(answer: impl Fn(&mut TcpStream) -> io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client may have gone.
            let _ = answer(&mut stream);
        }
    });
    port
}

/// Reads a request without its header.
pub(crate) fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 13];
    stream.read_exact(&mut header)?;
    let length = u32::from_le_bytes(header[5..9].try_into().unwrap());
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    if header[4] & 2 == 0 {
        return Ok(body);
    }
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(&*body).read_to_end(&mut text)?;
    Ok(text)
}

pub(crate) fn write_answer(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.write_all(b"ZBXD\x01")?;
    stream.write_all(&(answer.len() as u64).to_le_bytes())?;
    stream.write_all(answer)
}
