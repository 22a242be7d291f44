//! A listener whose connections are bounded in number and in idle time, over TLS where that is configured.
//!
//! Without a bound, clients that connect and say nothing would take all file descriptors, and with them the service's
//! own connections to Kafka and ClickHouse. At the bound further clients wait in the kernel's backlog. Nor may a client
//! hold a place by sending a byte now and then: each request head has a deadline that no byte moves, the first one from
//! the connection's beginning on, handshake included, each further one from its first byte.

mod transport;

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

use transport::Transport;
pub use transport::{TlsError, tls_acceptor};

/// Bytes of a request head: the longest address there is (64 KiB), and as much for the rest as other servers take. Without a
/// bound a few thousand connections would take gigabytes.
const HEAD_BYTES_MAX: usize = 80 * 1024;

/// Accepts at most a given number of connections at a time.
pub struct BoundedListener {
    inner: TcpListener,
    permits: Arc<Semaphore>,
    times: ConnectionTimes,
    tls: Option<TlsAcceptor>,
}

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionTimes {
    /// For a request head; of the first one the handshake of TLS included.
    pub head_max: Duration,
    /// While nothing moves.
    pub idle_max: Duration,
}

impl BoundedListener {
    /// At most `connections_max` at a time; one that exceeds `times` is closed.
    pub fn new(inner: TcpListener, connections_max: usize, times: ConnectionTimes, tls: Option<TlsAcceptor>) -> Self {
        Self { inner, permits: Arc::new(Semaphore::new(connections_max)), times, tls }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed; were it, connections would go uncounted rather than unanswered.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.inner).await;
        let idle = Box::pin(tokio::time::sleep(self.times.idle_max));
        let head = RequestHead::new(self.times.head_max);
        // The handshake is part of the connection's first read: a slow one must not keep others from being accepted.
        let stream = Transport::new(stream, self.tls.as_ref());
        (BoundedStream { stream, idle, idle_max: self.times.idle_max, head, _permit: permit }, address)
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
    head: RequestHead,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Waits for the empty line that ends a request head; after an answer, for that of the next one.
struct RequestHead {
    head_max: Duration,
    /// Absent between an answer and the next head.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Something of the head was read; empty lines before it end nothing.
    begun: bool,
    line_is_empty: bool,
    /// Of this head, so far.
    bytes: usize,
    /// What is read now is a body.
    is_there: bool,
}

impl RequestHead {
    fn new(head_max: Duration) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep(head_max)));
        Self { head_max, deadline, begun: false, line_is_empty: true, bytes: 0, is_there: false }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }

    /// `bytes` were read, after those seen before.
    fn read(&mut self, bytes: &[u8]) {
        if self.is_there || bytes.is_empty() {
            return;
        }
        self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.head_max)));
        if self.ends_in(bytes) {
            self.is_there = true;
            self.deadline = None;
        }
    }

    /// `bytes` were written: the client has its answer, or a part of it, and what it sends next is the next head. Not so
    /// when it was only told to go on with its body.
    fn answered(&mut self, bytes: &[u8]) {
        if self.is_there && !bytes.is_empty() && !bytes.starts_with(b"HTTP/1.1 100 ") {
            (self.is_there, self.begun, self.line_is_empty, self.bytes) = (false, false, true, 0);
        }
    }

    fn is_too_long(&self) -> bool {
        self.bytes > HEAD_BYTES_MAX
    }

    /// Whether the head ends within `bytes`.
    fn ends_in(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            self.bytes += 1;
            match byte {
                b'\n' if self.begun && self.line_is_empty => return true,
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => (self.begun, self.line_is_empty) = (true, false),
            }
        }
        false
    }
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
        // Before the read: bytes that keep coming must not keep the deadline from being looked at.
        if self.head.is_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.head.read(&buffer.filled()[before..]);
        if self.head.is_too_long() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.watch_idle(context, poll)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        if poll.is_ready() {
            self.head.answered(bytes);
        }
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
        if let (true, Some(first)) = (poll.is_ready(), slices.iter().find(|slice| !slice.is_empty())) {
            self.head.answered(first);
        }
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

    const LONG: Duration = Duration::from_secs(600);

    async fn start(connections_max: usize, head_max: Duration, idle_max: Duration) -> std::net::SocketAddr {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inner.local_addr().unwrap();
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
        let listener = BoundedListener::new(inner, connections_max, ConnectionTimes { head_max, idle_max }, None);
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
    async fn a_head_without_end_is_not_kept() {
        let mut stream = TcpStream::connect(start(8, LONG, LONG).await).await.unwrap();
        for _ in 0..3 {
            // Of each head by itself.
            let address = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(60 * 1024));
            stream.write_all(address.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"here") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
            }
        }
        // The other side may be gone before all is written.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nx: ").await;
        let _ = stream.write_all(&vec![b'a'; 2 * HEAD_BYTES_MAX]).await;
        let mut nothing = [0; 1];
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut nothing)).await;
        assert!(matches!(closed.unwrap(), Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let mut stream = TcpStream::connect(start(8, LONG, Duration::from_millis(30)).await).await.unwrap();
        let mut nothing = [0; 1];
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut nothing)).await;
        assert!(closed.is_ok(), "still open after 10 s");
    }

    /// Sends `text` and then a drop now and then until the connection is closed: the bytes that came instead.
    async fn drip(stream: &mut TcpStream, text: &str, drop_of: &str) -> usize {
        let mut answer = [0; 1];
        let _ = stream.write_all(text.as_bytes()).await;
        let dripping = async {
            loop {
                // An answer would be bytes; a connection that was closed or reset gives none.
                match tokio::time::timeout(Duration::from_millis(20), stream.read(&mut answer)).await {
                    Ok(read) => return read.unwrap_or(0),
                    Err(_) => drop(stream.write_all(drop_of.as_bytes()).await),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), dripping).await.expect("still open after 10 s")
    }

    /// Reads an answer to its end: the body is `here`.
    async fn rest(stream: &mut TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed before the end of an answer");
        }
    }

    #[tokio::test]
    async fn a_client_that_drips_a_head_is_closed_and_one_that_sent_it_is_not() {
        let address = start(8, Duration::from_millis(500), LONG).await;
        let mut patient = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut patient).await, ANSWER);
        rest(&mut patient).await;
        for (text, drop_of) in [("GET / HTTP/1.1\r\nx-drip: ", "a"), ("\r\n\r\n", "\r\n")] {
            let mut first = TcpStream::connect(address).await.unwrap();
            assert_eq!(drip(&mut first, text, drop_of).await, 0, "the first head");
            let mut second = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut second).await, ANSWER);
            rest(&mut second).await;
            assert_eq!(drip(&mut second, text, drop_of).await, 0, "the second head");
        }
        assert_eq!(ask(&mut patient).await, ANSWER, "between heads there is no deadline but the idle time");
    }

    #[tokio::test]
    async fn bodies_have_no_deadline_of_a_head() {
        let mut head = RequestHead::new(LONG);
        head.read(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\n\r\n");
        head.answered(b"HTTP/1.1 100 Continue\r\n\r\n");
        head.read(b"a body");
        assert!(head.is_there && head.deadline.is_none());
        head.answered(b"HTTP/1.1 200 OK\r\n");
        head.answered(b"content-length: 0\r\n\r\n");
        assert!(!head.is_there && head.deadline.is_none());
        head.read(b"G");
        assert!(head.deadline.is_some());
        head.read(b"ET / HTTP/1.1\r\n\r\n");
        assert!(head.is_there && head.deadline.is_none());
    }

    #[test]
    fn a_head_ends_with_the_first_empty_line_after_something() {
        let ends = |pieces: &[&[u8]]| {
            let mut head = RequestHead::new(LONG);
            pieces.iter().any(|piece| head.ends_in(piece))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        assert!(ends(&[b"GET / HTTP/1.1\r\n\r\n"]) && ends(&[b"\r\nGET /\r", b"\n", b"\r", b"\nbody"]));
        assert!(ends(&[b"GET /\na: b\n\n"]));
        assert!(!ends(&[b"\r\n\r\n\n\n"]) && !ends(&[b"GET / HTTP/1.1\r\na: b\r\n"]));
    }

    #[tokio::test]
    async fn beyond_the_bound_a_connection_waits_for_another_to_end() {
        let address = start(1, LONG, LONG).await;
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
