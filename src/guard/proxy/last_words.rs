//! An answer that breaks off, so that what came before the break reaches the client.
//!
//! ClickHouse puts an exception behind what it has sent and then breaks the answer off. Both may come at once, and the HTTP
//! server drops what it has not written yet when a body fails.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};

/// A body that fails one turn after its last frame: in between the server writes what it has.
#[derive(Debug)]
pub(super) struct LastWords<B: Body> {
    body: B,
    failed: Option<B::Error>,
}

impl<B: Body> LastWords<B> {
    pub(super) fn of(body: B) -> Self {
        Self { body, failed: None }
    }
}

impl<B> Body for LastWords<B>
where
    B: Body + Unpin,
    B::Error: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Err(error)) => {
                self.failed = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Response;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Frames that are all ready, and then a break.
    struct Breaks(VecDeque<&'static str>);

    impl Body for Breaks {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            let frame = self.0.pop_front().map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
            Poll::Ready(Some(frame.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())))
        }
    }

    #[tokio::test]
    async fn what_came_before_the_break_arrives() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let service = service_fn(|_| async {
            let body = Breaks(VecDeque::from(["1\n2\n", "Code: 395. DB::Exception"]));
            Ok::<_, Infallible>(Response::new(LastWords::of(body)))
        });
        let served = tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(ours), service));
        theirs.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("Code: 395. DB::Exception"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "it is not whole: {answer}");
        assert!(served.await.unwrap().is_err());
    }
}
