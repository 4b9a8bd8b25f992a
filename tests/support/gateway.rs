//! etcd's requests as JSON, on one connection that stays open: `etcdctl` takes fifty times as long for each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

/// A connection to a running etcd.
pub struct Gateway {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Gateway {
    /// To `http://127.0.0.1:PORT`. It may answer `etcdctl` a moment before it answers here.
    pub fn to(endpoint: &str) -> Self {
        let host = endpoint.strip_prefix("http://").expect("a URL");
        for _ in 0..50 {
            let mut gateway = Self::connect(host);
            if gateway.ask("/v3/maintenance/status", &json!({})).is_ok() {
                return gateway;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{endpoint} does not answer requests as JSON");
    }

    fn connect(host: &str) -> Self {
        let stream = TcpStream::connect(host).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        Self { stream: BufReader::new(stream), host: host.to_owned() }
    }

    /// What it answers; what it says, where it refuses or knows no such path.
    pub fn ask(&mut self, path: &str, request: &Value) -> Result<Value, String> {
        let body = request.to_string();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.host, body.len());
        let (status, answer) = self.exchange(&(head + &body));
        let said = || String::from_utf8_lossy(&answer).into_owned();
        if status == 200 { Ok(serde_json::from_slice(&answer).expect("JSON")) } else { Err(said()) }
    }

    /// What is at a path.
    pub fn get(&mut self, path: &str) -> Value {
        let (_, answer) = self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host));
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// Where the only member's peers find it.
    pub fn peer_url(&mut self) -> String {
        let said = self.ask("/v3/cluster/member/list", &json!({})).expect("a list");
        said["members"][0]["peerURLs"][0].as_str().expect("a URL").to_owned()
    }

    fn exchange(&mut self, request: &str) -> (u32, Vec<u8>) {
        self.stream.get_mut().write_all(request.as_bytes()).expect("sent");
        let status = self.line().split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (mut len, mut is_chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => len = value.parse().expect("a length"),
                Some(("transfer-encoding", "chunked")) => is_chunked = true,
                Some(_) => {}
                None => break,
            }
        }
        let body = if is_chunked { self.chunks() } else { self.bytes(len) };
        (status, body)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let len = usize::from_str_radix(&self.line(), 16).expect("a length");
            body.extend(self.bytes(len));
            // the last one is of no bytes, and trailers follow
            while !self.line().is_empty() {}
            if len == 0 {
                return body;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        assert!(line.ends_with("\r\n"), "the connection was closed after {line:?}");
        line.trim_end().to_owned()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).expect("an answer");
        bytes
    }
}

/// Bytes, as this JSON has them.
pub fn bytes(bytes: &[u8]) -> Value {
    json!(BASE64_STANDARD.encode(bytes))
}

/// A number, which this JSON has as text if it may be long, and leaves out if it is 0.
pub fn integer(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        Value::String(digits) => digits.parse().expect("a number"),
        number => number.as_i64().expect("a number"),
    }
}

/// An id, likewise.
pub fn id(value: &Value) -> u64 {
    value.as_str().map_or(0, |digits| digits.parse().expect("an id"))
}
