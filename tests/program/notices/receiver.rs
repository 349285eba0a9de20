//! A receiver of webhooks that checks every signature with the `standardwebhooks` crate and answers as it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;

use crate::support::PATIENCE;

/// The signing secret.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What becomes of a request.
#[derive(Clone, Copy)]
pub enum Fate {
    /// It is answered with this status.
    Answered(u16),
    /// It is never answered.
    Hanging,
    /// It is processed, and the connection breaks before the answer.
    Dying,
}

/// A request that came, whatever became of it.
#[derive(Clone)]
pub struct Received {
    /// By which a repetition is known.
    pub id: String,
    /// The body.
    pub body: Value,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    fates: VecDeque<Fate>,
}

/// A receiver on a port of its own. Once its fates are used up it takes everything.
pub struct Receiver {
    pub port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let of_thread = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), of_thread.clone());
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state }
    }

    /// What becomes of the next request that has no fate yet.
    pub fn then(&self, fate: Fate) {
        self.state.0.lock().unwrap().fates.push_back(fate);
    }

    /// Waits for so many requests in all, and returns them.
    pub fn received(&self, count: usize) -> Vec<Received> {
        let state = self.state.0.lock().unwrap();
        let waiting = |state: &mut State| state.received.len() < count;
        let (state, waited) = self.state.1.wait_timeout_while(state, PATIENCE, waiting).unwrap();
        assert!(!waited.timed_out(), "{} of {count} requests came", state.received.len());
        state.received.clone()
    }
}

fn serve(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) {
    let (headers, body) = read(&mut stream);
    Webhook::new(SECRET).unwrap().verify(&body, &headers).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let fate = {
        let mut state = state.0.lock().unwrap();
        state.received.push(Received { id, body: serde_json::from_slice(&body).unwrap() });
        state.fates.pop_front().unwrap_or(Fate::Answered(204))
    };
    state.1.notify_all();
    match fate {
        Fate::Answered(status) => {
            let answer =
                format!("HTTP/1.1 {status} Status\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
        Fate::Dying => {}
        // Until the other side gives up.
        Fate::Hanging => {
            let _ = stream.read(&mut [0]);
        }
    }
}

fn read(stream: &mut TcpStream) -> (HeaderMap, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (headers, body)
}
