//! An answer, passed on as it comes: what is asked for faster than it is read waits in ClickHouse. Dropped before its end,
//! the connection closes, and ClickHouse ends the query.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::error::QueryError;
use super::format::ResultFormat;
use super::gatekeeper::Place;
use crate::store::{ByteStream, StoreError};

/// The rest of an answer does not come.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct AnswerBroken(String);

/// What is held while an answer is read.
#[derive(Debug)]
pub(super) enum Held {
    /// A place at the gate.
    Place(Place),
    /// A place among the named queries.
    Permit(
        #[expect(dead_code, reason = "held, never read: the place is free when it is dropped")] OwnedSemaphorePermit,
    ),
}

/// An answer that has begun: its first piece is here, so that what fails at once fails before the head of a response.
#[derive(Debug)]
pub struct Answer {
    format: ResultFormat,
    first: Option<Bytes>,
    stream: Option<ByteStream>,
    held: Option<Held>,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    is_restricted: bool,
    /// One turn later than it came: in between, what came before is written.
    broken: Option<AnswerBroken>,
}

impl Answer {
    /// Waits for the first piece.
    pub(super) async fn begin(
        mut stream: ByteStream,
        format: ResultFormat,
        mut held: Held,
        timeout: Duration,
        is_restricted: bool,
    ) -> Result<Self, QueryError> {
        let mut deadline = Box::pin(tokio::time::sleep(timeout));
        let first = tokio::select! {
            first = stream.next() => first,
            () = &mut deadline => Err(StoreError::TimedOut(timeout)),
        };
        let first = first.map_err(|error| {
            let error = QueryError::from_store(error, is_restricted);
            held.end(error.number());
            error
        })?;
        let stream = first.is_some().then_some(stream);
        let mut answer =
            Self { format, first, stream, held: Some(held), deadline, timeout, is_restricted, broken: None };
        if answer.stream.is_none() {
            answer.end(None);
        }
        Ok(answer)
    }

    /// How it is written.
    #[must_use]
    pub fn format(&self) -> ResultFormat {
        self.format
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// It breaks off.
    pub async fn collect(mut self) -> Result<Vec<u8>, AnswerBroken> {
        let mut bytes = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut self).poll_next(context)).await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }

    fn end(&mut self, number: Option<u32>) {
        self.stream = None;
        if let Some(mut held) = self.held.take() {
            held.end(number);
        }
    }

    fn fail(&mut self, error: StoreError, context: &Context<'_>) -> Poll<Option<Result<Bytes, AnswerBroken>>> {
        let error = QueryError::from_store(error, self.is_restricted);
        tracing::info!(%error, "an answer broke off");
        self.end(error.number());
        self.broken = Some(AnswerBroken(error.to_string()));
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Held {
    fn end(&mut self, number: Option<u32>) {
        if let Self::Place(place) = self {
            place.end(number);
        }
    }
}

impl Stream for Answer {
    type Item = Result<Bytes, AnswerBroken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match stream.poll_next(context) {
            Poll::Ready(Ok(Some(piece))) => Poll::Ready(Some(Ok(piece))),
            Poll::Ready(Ok(None)) => {
                self.end(None);
                Poll::Ready(None)
            }
            Poll::Ready(Err(error)) => self.fail(error, context),
            Poll::Pending if self.deadline.as_mut().poll(context).is_ready() => {
                let timeout = self.timeout;
                self.fail(StoreError::TimedOut(timeout), context)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
