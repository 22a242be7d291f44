//! Bodies on their way to ClickHouse: the beginning is read until the query's text is known, the rest passes as it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::encoded::Encoding;
use super::multipart::{MultipartFault, MultipartScan};
use super::refused::Refused;
use super::statement::begins_data;

/// Where the data of an INSERT begin within this, no more is looked at; else all of it, as of a statement that reads.
const INSERT_BYTES_MAX: usize = 64 << 10;
/// Longest text of a statement that reads. ClickHouse itself takes 256 KiB unless it is told otherwise.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Why a body does not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client's connection failed.
    #[error("the client's body broke off: {0}")]
    Client(#[from] hyper::Error),
    /// A part must not pass.
    #[error("the body of several parts holds a part that does not pass: {0:?}")]
    Part(MultipartFault),
}

/// A body: what has been read, then the rest.
#[derive(Debug)]
pub(super) struct RequestBody {
    head: VecDeque<Bytes>,
    rest: Option<Incoming>,
    scan: Option<MultipartScan>,
    /// Bytes to come, when the client has said how many.
    left: Option<u64>,
}

/// The text of a query, as far as it was read.
#[derive(Debug)]
pub(super) struct QueryText {
    /// The parameter `query`, and what the body begins with.
    pub(super) text: String,
    /// Whether all that matters is in it: of a statement that reads everything, of an INSERT what stands before the data.
    pub(super) is_whole: bool,
    /// The body, when it was read to its end.
    pub(super) body: Option<Vec<u8>>,
}

impl RequestBody {
    /// A body that is all here.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let left = Some(bytes.len() as u64);
        Self { head: VecDeque::from([bytes]), rest: None, scan: None, left }
    }

    /// A client's body.
    pub(super) fn of(rest: Incoming) -> Self {
        let left = rest.size_hint().exact();
        let rest = (!rest.is_end_stream()).then_some(rest);
        Self { head: VecDeque::new(), rest, scan: None, left }
    }

    /// Has every part looked at as it passes.
    pub(super) fn scanned_by(mut self, scan: MultipartScan) -> Self {
        self.scan = Some(scan);
        self
    }

    /// Reads the query's text: `parameter` is the beginning that stands in the URL.
    ///
    /// # Errors
    /// The client's body breaks off.
    pub(super) async fn read_text(&mut self, parameter: &[u8], encoding: Encoding) -> Result<QueryText, Refused> {
        let mut text = parameter.to_vec();
        if self.rest.is_none() || self.scan.is_some() || begins_data(&String::from_utf8_lossy(parameter)) {
            // A part of a body of several parts is a table, and never text: those named `query` do not pass.
            let body = self.rest.is_none().then(Vec::new);
            return Ok(QueryText { text: lossy(text), is_whole: true, body });
        }
        if !parameter.is_empty() {
            // As ClickHouse joins them.
            text.push(b'\n');
        }
        let parameter_bytes = text.len();
        let mut raw = Vec::new();
        let mut looks = Looks::default();
        loop {
            let is_end = !self.read_frame(&mut raw).await?;
            if !is_end && !looks.is_due(raw.len()) {
                continue;
            }
            let is_insert = is_insert(&text[..parameter_bytes], encoding, &raw);
            if !is_end && !is_insert && raw.len() < TEXT_BYTES_MAX {
                continue;
            }
            text.truncate(parameter_bytes);
            let begins_data = is_insert && {
                let start = encoding.decode(&raw, INSERT_BYTES_MAX).text;
                begins_data(&lossy([&text, start.as_slice()].concat()))
            };
            let decoded = encoding.decode(&raw, if begins_data { INSERT_BYTES_MAX } else { TEXT_BYTES_MAX });
            if is_end || begins_data || raw.len() >= TEXT_BYTES_MAX || decoded.text.len() == TEXT_BYTES_MAX {
                text.extend(decoded.text);
                let is_whole = begins_data || (is_end && decoded.is_all);
                return Ok(QueryText { text: lossy(text), is_whole, body: is_end.then_some(raw) });
            }
        }
    }

    /// Reads one more piece; false at the end.
    async fn read_frame(&mut self, raw: &mut Vec<u8>) -> Result<bool, Refused> {
        let Some(rest) = &mut self.rest else { return Ok(false) };
        match rest.frame().await {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    raw.extend_from_slice(&bytes);
                    self.head.push_back(bytes);
                }
                Ok(true)
            }
            Some(Err(error)) => Err(Refused::broken_body(&error.to_string())),
            None => {
                self.rest = None;
                Ok(false)
            }
        }
    }
}

/// When a body that comes is looked at: each look begins at its beginning, so after the first it must have doubled.
#[derive(Debug, Default)]
struct Looks {
    next_bytes: usize,
}

impl Looks {
    fn is_due(&mut self, bytes: usize) -> bool {
        let is_due = bytes >= self.next_bytes || bytes >= TEXT_BYTES_MAX;
        if is_due {
            self.next_bytes = bytes * 2;
        }
        is_due
    }
}

/// Whether the text begins like an INSERT; a beginning that has not come yet is none.
fn is_insert(parameter: &[u8], encoding: Encoding, raw: &[u8]) -> bool {
    let mut start = parameter.to_vec();
    start.extend(encoding.decode(raw, 4_096).text);
    super::statement::is_insert(&lossy_cut(&start, 4_096))
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn lossy_cut(bytes: &[u8], bytes_max: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(bytes_max)])
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match self.head.pop_front() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None => match &mut self.rest {
                Some(rest) => ready!(Pin::new(rest).poll_frame(context)).map(|frame| frame.map_err(BodyError::from)),
                None => None,
            },
        };
        let Some(Ok(frame)) = &next else { return Poll::Ready(next) };
        if let Some(bytes) = frame.data_ref() {
            let length = bytes.len() as u64;
            let this = &mut *self;
            if let Some(Err(fault)) = this.scan.as_mut().map(|scan| scan.push(bytes)) {
                return Poll::Ready(Some(Err(BodyError::Part(fault))));
            }
            this.left = this.left.map(|left| left.saturating_sub(length));
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_small_pieces_is_looked_at_a_few_times() {
        let mut looks = Looks::default();
        let looked = (1..TEXT_BYTES_MAX).filter(|bytes| looks.is_due(*bytes)).count();
        assert!(looked <= 20, "{looked} looks");
        assert!(looks.is_due(TEXT_BYTES_MAX));
    }
}
