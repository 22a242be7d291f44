//! The body of an answer: one piece of the guard's own, frames kept from another's answer, or ClickHouse's as it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::watched::WatchedBody;

/// An answer.
pub(super) type Answer = Response<AnswerBody>;

/// Its body.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// Pieces that are all here.
    Kept(VecDeque<Bytes>),
    /// What ClickHouse sends, and nobody learns from.
    Plain(Incoming),
    /// What ClickHouse sends.
    Upstream(Box<WatchedBody>),
}

impl AnswerBody {
    /// One piece.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Kept(VecDeque::from([bytes.into()]))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Kept(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Plain(body) => Pin::new(body).poll_frame(context),
            Self::Upstream(body) => Pin::new(body.as_mut()).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Kept(pieces) => pieces.is_empty(),
            Self::Plain(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Kept(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Plain(body) => body.size_hint(),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}
