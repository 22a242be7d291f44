//! A listener whose connections are bounded in number and in idle time, over TLS where that is configured.
//!
//! Without a bound, clients that connect and say nothing would take all file descriptors, and with them the service's
//! own connections to Kafka and ClickHouse. At the bound further clients wait in the kernel's backlog.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::transport::Transport;

/// Accepts at most a given number of connections at a time.
pub struct BoundedListener {
    inner: TcpListener,
    permits: Arc<Semaphore>,
    idle_max: Duration,
    tls: Option<TlsAcceptor>,
}

impl BoundedListener {
    /// At most `connections_max` at a time; one on which nothing moves for `idle_max` is closed.
    pub fn new(inner: TcpListener, connections_max: usize, idle_max: Duration, tls: Option<TlsAcceptor>) -> Self {
        Self { inner, permits: Arc::new(Semaphore::new(connections_max)), idle_max, tls }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed; were it, connections would go uncounted rather than unanswered.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.inner).await;
        let idle = Box::pin(tokio::time::sleep(self.idle_max));
        // The handshake is part of the connection's first read: a slow one must not keep others from being accepted.
        let stream = Transport::new(stream, self.tls.as_ref());
        (BoundedStream { stream, idle, idle_max: self.idle_max, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection that gives its place back when it is dropped, and fails when nothing moves for too long.
pub struct BoundedStream {
    stream: Transport,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl BoundedStream {
    /// Restarts the idle time when something moved, else fails once it is over.
    fn watch_idle<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.idle_max);
            return poll;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch_idle(context, poll)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_idle(context, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch_idle(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK";

    async fn start(connections_max: usize, idle_max: Duration) -> std::net::SocketAddr {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inner.local_addr().unwrap();
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
        let listener = BoundedListener::new(inner, connections_max, idle_max, None);
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn ask(stream: &mut TcpStream) -> Vec<u8> {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; ANSWER.len()];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let mut stream = TcpStream::connect(start(8, Duration::from_millis(30)).await).await.unwrap();
        let mut nothing = [0; 1];
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut nothing)).await;
        assert!(closed.is_ok(), "still open after 10 s");
    }

    #[tokio::test]
    async fn beyond_the_bound_a_connection_waits_for_another_to_end() {
        let address = start(1, Duration::from_secs(600)).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut first).await, ANSWER);
        let mut second = TcpStream::connect(address).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), ask(&mut second)).await;
        assert!(early.is_err(), "answered beyond the bound");
        drop(first);
        let mut answer = vec![0; ANSWER.len()];
        second.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, ANSWER);
    }
}
