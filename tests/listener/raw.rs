//! HTTP/2 by hand (RFC 9113), for clients that don't keep its rules.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const ENHANCE_YOUR_CALM: u32 = 11;

pub struct Frame {
    pub kind: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY.
    pub fn goaway_code(&self) -> Option<u32> {
        (self.kind == GOAWAY).then(|| u32::from_be_bytes(self.payload[4..8].try_into().expect("four bytes")))
    }

    /// The values of SETTINGS, by their numbers.
    pub fn setting(&self, number: u16) -> Option<u32> {
        self.payload
            .chunks_exact(6)
            .find(|entry| entry[..2] == number.to_be_bytes())
            .map(|entry| u32::from_be_bytes(entry[2..].try_into().expect("four bytes")))
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields in HPACK: literal, without index and without Huffman code, each text below 127 bytes.
pub fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in pairs {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The fields of a proper gRPC request.
pub fn request(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// A connection that sends what it likes.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects, and says nothing.
    pub async fn silent(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the listener runs"))
    }

    /// Connects and waits until it is turned away, which may come before the connection is there.
    pub async fn turned_away(address: SocketAddr) {
        if let Ok(stream) = TcpStream::connect(address).await {
            Self(stream).closed().await;
        }
    }

    /// Connects and opens HTTP/2 properly.
    pub async fn open(address: SocketAddr) -> Self {
        let mut raw = Self::silent(address).await;
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.expect("the listener runs");
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The next frame; `None` when the connection is closed or reset.
    pub async fn next(&mut self) -> Option<Frame> {
        read_frame(&mut self.0).await
    }

    /// The next frame of a kind.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads to the end and gives the code of the last GOAWAY.
    pub async fn last_words(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            code = frame.goaway_code().or(code);
        }
        code
    }

    /// Sends until the other side is gone, and gives the code of its last GOAWAY.
    pub async fn flood(self, bytes: Vec<u8>) -> Option<u32> {
        let (read, mut write) = self.0.into_split();
        let writing = tokio::task::spawn(async move { while write.write_all(&bytes).await.is_ok() {} });
        let code = read_goaway(read).await;
        writing.abort();
        code
    }

    /// Waits until the connection is closed or reset, whatever comes before.
    pub async fn closed(&mut self) {
        while self.0.read_u8().await.is_ok() {}
    }
}

/// Reads up to a GOAWAY, or to the end.
async fn read_goaway(mut from: impl AsyncRead + Unpin) -> Option<u32> {
    loop {
        if let Some(code) = read_frame(&mut from).await?.goaway_code() {
            return Some(code);
        }
    }
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
    from.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind: head[3], payload })
}
