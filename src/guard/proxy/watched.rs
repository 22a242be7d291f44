//! ClickHouse's answer on its way to the client, and what is learned as it passes: how the query ended, and whether its
//! client is still there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;

use super::collapse::Recorder;
use super::estimates::Estimates;
use super::gatekeeper::Place;
use super::leavers::{Leaver, Leavers};
use super::upstream::exception_code;
use crate::guard::gate::Ended;
use crate::metrics::{GuardOutcome, Metrics};

/// How much of an answer's end is kept to find an exception in it; ClickHouse's own end of an answer is as long.
const TAIL_BYTES_MAX: usize = 4_096;
/// The exception code of a connection that broke.
const NETWORK_ERROR: u32 = 210;

/// A query that ClickHouse has. Dropped before its end, its client has gone: then it is ended.
#[derive(Debug)]
pub(super) struct RunningQuery {
    /// Its place at the gate.
    pub(super) place: Option<Place>,
    /// How to end it; absent for a write, which is never ended, and for a query that another of the same name shadows.
    pub(super) leaver: Option<Leaver>,
    /// Its fingerprint.
    pub(super) fingerprint: String,
    /// Whether it writes: then what it reads is not learned.
    pub(super) writes: bool,
    /// Since when.
    pub(super) since: Instant,
    /// Where its end is told.
    pub(super) leavers: Arc<Leavers>,
    /// Where its reading is learned.
    pub(super) estimates: Arc<Estimates>,
    /// Where it is counted.
    pub(super) metrics: Arc<Metrics>,
}

/// An answer's body under watch.
#[derive(Debug)]
pub(super) struct WatchedBody {
    body: Incoming,
    query: Option<RunningQuery>,
    recorder: Option<Recorder>,
    summary: Summary,
    exception_code: Option<u32>,
    is_text: bool,
    tail: Vec<u8>,
}

/// ClickHouse's `X-ClickHouse-Summary`: what it had counted when it wrote the head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Summary {
    read_rows: Option<String>,
    read_bytes: Option<String>,
    memory_usage: Option<String>,
}

impl RunningQuery {
    /// It has ended by itself.
    pub(super) fn end(mut self, mut ended: Ended) {
        self.leaver = None;
        ended.duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let (Some(rows), false, None) = (ended.read_rows, self.writes, ended.exception_code) {
            self.estimates.learn(&self.fingerprint, rows);
        }
        let outcome = if ended.exception_code.is_some() { GuardOutcome::Failed } else { GuardOutcome::Answered };
        self.metrics.add_guard_query(outcome);
        if let Some(place) = self.place.take() {
            place.end(ended);
        }
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.metrics.add_guard_query(GuardOutcome::Left);
        }
        if let Some(leaver) = self.leaver.take() {
            self.leavers.end(leaver);
        }
    }
}

impl WatchedBody {
    /// Watches an answer whose head was `status` and `headers`.
    pub(super) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: Incoming,
        query: RunningQuery,
        mut recorder: Option<Recorder>,
    ) -> Self {
        if let Some(recorder) = &mut recorder {
            recorder.head(status, headers);
        }
        let summary =
            headers.get("x-clickhouse-summary").and_then(|value| serde_json::from_slice(value.as_bytes()).ok());
        let is_text = !headers.contains_key(http::header::CONTENT_ENCODING);
        let exception_code = exception_code(headers)
            // A status without a code is of something between here and ClickHouse.
            .or_else(|| (!status.is_success()).then_some(NETWORK_ERROR));
        let (query, summary) = (Some(query), summary.unwrap_or_default());
        Self { body, query, recorder, summary, exception_code, is_text, tail: Vec::new() }
    }

    fn saw(&mut self, bytes: &Bytes) {
        if let Some(recorder) = &mut self.recorder {
            recorder.piece(bytes);
        }
        if bytes.len() >= TAIL_BYTES_MAX {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - TAIL_BYTES_MAX..]);
        } else {
            let kept = TAIL_BYTES_MAX - bytes.len();
            if self.tail.len() > kept {
                self.tail.drain(..self.tail.len() - kept);
            }
            self.tail.extend_from_slice(bytes);
        }
    }

    /// The answer is over: whole, or broken off.
    fn over(&mut self, is_broken: bool) {
        let Some(query) = self.query.take() else { return };
        let text = if self.is_text { String::from_utf8_lossy(&self.tail) } else { "".into() };
        let in_tail = exception_in(&text, self.exception_code.is_some());
        let code =
            self.exception_code.or(in_tail.as_ref().map(|(code, _)| *code)).or(is_broken.then_some(NETWORK_ERROR));
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        query.end(Ended {
            exception_code: code,
            exception: in_tail.map(|(_, message)| message),
            memory_bytes: number(&self.summary.memory_usage),
            read_rows: number(&self.summary.read_rows),
            read_bytes: number(&self.summary.read_bytes),
            duration_ms: 0,
        });
        if let Some(recorder) = self.recorder.take().filter(|_| code.is_none()) {
            recorder.land();
        }
    }
}

/// The exception at the end of an answer: in the middle of a result it stands behind a mark, else it is all there is.
fn exception_in(tail: &str, is_all: bool) -> Option<(u32, String)> {
    const START: &str = "Code: ";
    let from = if is_all {
        0
    } else {
        tail.rfind("__exception__\r\n").filter(|at| *at > 0).map(|_| tail.find("__exception__"))??
    };
    let text = &tail[from..];
    let text = &text[text.find(START)?..];
    let digits: String = text[START.len()..].chars().take_while(char::is_ascii_digit).collect();
    let end = text.find("\r\n__exception__").or_else(|| text.find("\n__exception__")).unwrap_or(text.len());
    Some((digits.parse().ok()?, text[..end].trim_end().to_owned()))
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &next {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.saw(bytes);
                }
                // With a known length the end is not asked for.
                if self.body.is_end_stream() {
                    self.over(false);
                }
            }
            // The client's answer breaks off as this one did.
            Some(Err(_)) => self.over(true),
            None => self.over(false),
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.query.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_found_at_the_end_and_not_in_the_data() {
        let middle = "0\n\r\n__exception__\r\nabc\r\nCode: 395. DB::Exception: no. (X)\n33 abc\r\n__exception__\r\n";
        let (code, message) = exception_in(middle, false).unwrap();
        assert_eq!(code, 395);
        assert!(message.starts_with("Code: 395. DB::Exception: no. (X)"), "{message}");
        assert_eq!(exception_in("Code: 62. DB::Exception: Syntax\n", true).unwrap().0, 62);
        assert_eq!(exception_in("Code: 62. DB::Exception: a row of a log\n", false), None);
        assert_eq!(exception_in("", true), None);
    }
}
