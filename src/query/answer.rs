//! An answer, passed on as it comes: what is asked for faster than it is read waits in ClickHouse. Dropped before its end,
//! the connection closes, and ClickHouse ends the query.
//!
//! A task of its own passes it on: a reader who takes his time is not asked to look at the clock, so that he holds neither
//! the query nor its place beyond the deadline.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::error::QueryError;
use super::format::ResultFormat;
use super::gatekeeper::Place;
use super::shares::Share;
use super::tally::Tally;
use crate::store::{ByteStream, StoreError};

/// The rest of an answer does not come.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct AnswerBroken(String);

/// What is held while an answer is made.
#[derive(Debug)]
pub(super) struct Held {
    /// A place at the gate.
    place: Option<Place>,
    /// A place among the named queries.
    _permit: Option<OwnedSemaphorePermit>,
    /// A part of what the token may take.
    _share: Share,
    /// Absent where it is counted elsewhere.
    tally: Option<Tally>,
}

/// An answer that has begun: its first piece is here, so that what fails at once fails before the head of a response.
#[derive(Debug)]
pub struct Answer {
    format: ResultFormat,
    pieces: mpsc::Receiver<Result<Bytes, AnswerBroken>>,
    /// One turn later than it came: in between, what came before is written.
    broken: Option<AnswerBroken>,
}

impl Answer {
    /// Waits for the first piece. The rest comes until `timeout` from now, however slowly it is read.
    pub(super) async fn begin(
        mut stream: ByteStream,
        format: ResultFormat,
        mut held: Held,
        timeout: Duration,
        is_restricted: bool,
    ) -> Result<Self, QueryError> {
        let deadline = Instant::now() + timeout;
        let first = match tokio::time::timeout_at(deadline, stream.next()).await {
            Ok(first) => first,
            Err(_) => Err(StoreError::TimedOut(timeout)),
        };
        let first = match first {
            Ok(first) => first,
            Err(error) => return Err(held.end_with(error, is_restricted)),
        };
        // One piece waits for the reader, no more: the others wait in ClickHouse.
        let (sender, pieces) = mpsc::channel(1);
        match first {
            Some(first) => {
                let source = Source { stream, held, deadline, timeout, is_restricted };
                tokio::spawn(source.pass_on(first, sender));
            }
            None => held.end(),
        }
        Ok(Self { format, pieces, broken: None })
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
}

impl Held {
    /// What a named query holds.
    pub(super) fn named(permit: OwnedSemaphorePermit, share: Share, tally: Option<Tally>) -> Self {
        Self { place: None, _permit: Some(permit), _share: share, tally }
    }

    /// What SQL holds.
    pub(super) fn sql(place: Place, share: Share, tally: Option<Tally>) -> Self {
        Self { place: Some(place), _permit: None, _share: share, tally }
    }

    /// The whole answer was passed on.
    fn end(&mut self) {
        if let Some(place) = &mut self.place {
            place.end(None);
        }
        if let Some(tally) = &mut self.tally {
            tally.end(None);
        }
    }

    /// It broke off, or never came.
    fn end_with(&mut self, error: StoreError, is_restricted: bool) -> QueryError {
        if let Some(place) = &mut self.place {
            place.end(Some(&error));
        }
        let error = QueryError::from_store(error, is_restricted);
        if let Some(tally) = &mut self.tally {
            tally.end(Some(&error));
        }
        error
    }

    fn add_bytes(&self, bytes: usize) {
        if let Some(tally) = &self.tally {
            tally.add_bytes(bytes);
        }
    }
}

/// Where the pieces come from, and what it takes as long as they come.
#[derive(Debug)]
struct Source {
    stream: ByteStream,
    held: Held,
    deadline: Instant,
    timeout: Duration,
    is_restricted: bool,
}

impl Source {
    /// Until the end, the deadline, or the reader's leaving, which drops the receiver.
    async fn pass_on(mut self, first: Bytes, sender: mpsc::Sender<Result<Bytes, AnswerBroken>>) {
        let outcome = tokio::select! {
            outcome = pieces(&mut self.stream, first, &sender, &self.held) => outcome,
            () = tokio::time::sleep_until(self.deadline) => Err(StoreError::TimedOut(self.timeout)),
            // Not an end of its own: the place sees that whoever asked has left.
            () = sender.closed() => return,
        };
        let Err(error) = outcome else {
            self.held.end();
            return;
        };
        let error = self.held.end_with(error, self.is_restricted);
        tracing::info!(%error, "an answer broke off");
        // Before the reader hears of it: he may take long to come there.
        drop(self);
        // Whoever has left needs no error.
        let _ = sender.send(Err(AnswerBroken(error.to_string()))).await;
    }
}

/// Passes on what comes, piece by piece. Of a reader that has left the caller hears otherwise.
async fn pieces(
    stream: &mut ByteStream,
    first: Bytes,
    sender: &mpsc::Sender<Result<Bytes, AnswerBroken>>,
    held: &Held,
) -> Result<(), StoreError> {
    let mut next = Some(first);
    while let Some(piece) = next {
        let bytes = piece.len();
        if sender.send(Ok(piece)).await.is_err() {
            return std::future::pending().await;
        }
        held.add_bytes(bytes);
        next = stream.next().await?;
    }
    Ok(())
}

impl Stream for Answer {
    type Item = Result<Bytes, AnswerBroken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        match self.pieces.poll_recv(context) {
            Poll::Ready(Some(Err(broken))) => {
                self.broken = Some(broken);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }
}
