//! The first 24 bytes of an HTTP/2 connection, the same for everybody.
//!
//! They are read before anything is built for the connection: who connects and says nothing, or speaks something else, costs
//! a socket for as long as the time-out and no more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose preface has arrived; reads it once more from the start.
pub(super) struct Prefaced<IO> {
    io: IO,
    left: &'static [u8],
}

/// Reads the preface.
///
/// # Errors
/// `TimedOut` if it is not complete `within` the time, `InvalidData` at the first byte that differs, or the connection's own.
pub(super) async fn expect_preface<IO>(mut io: IO, within: Duration) -> io::Result<Prefaced<IO>>
where
    IO: AsyncRead + Unpin,
{
    tokio::time::timeout(within, read_preface(&mut io)).await??;
    Ok(Prefaced { io, left: PREFACE })
}

async fn read_preface(io: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut wanted = &PREFACE[..];
    let mut bytes = [0; PREFACE.len()];
    while !wanted.is_empty() {
        let count = io.read(&mut bytes[..wanted.len()]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        wanted = wanted
            .strip_prefix(&bytes[..count])
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the client does not speak HTTP/2"))?;
    }
    Ok(())
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefaced<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let (now, later) = self.left.split_at(self.left.len().min(buf.remaining()));
        buf.put_slice(now);
        self.left = later;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefaced<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        let (mut client, server) = tokio::io::duplex(64);
        let sent = [&PREFACE[..], b"settings"].concat();
        client.write_all(&sent[..10]).await.unwrap();
        let (prefaced, ()) = tokio::join!(expect_preface(server, LONG), async {
            client.write_all(&sent[10..]).await.unwrap();
            client.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        prefaced.unwrap_or_else(|error| panic!("{error}")).read_to_end(&mut got).await.unwrap();
        assert_eq!(got, sent);
    }

    #[tokio::test]
    async fn another_protocol_is_refused_at_its_first_word() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"GET /").await.unwrap();
        let error = expect_preface(server, LONG).await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::InvalidData));
    }

    #[tokio::test]
    async fn a_hang_up_is_an_end() {
        let (client, server) = tokio::io::duplex(64);
        drop(client);
        let error = expect_preface(server, LONG).await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_preface_is_not_waited_for() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&PREFACE[..23]).await.unwrap();
        let error = expect_preface(server, LONG).await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::TimedOut));
    }
}
