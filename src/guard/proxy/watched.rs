//! ClickHouse's answer on its way to the client, and what is learned as it passes: how the query ended, and whether its
//! client is still there.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::Instant;

use super::collapse::{Recorder, Written};
use super::encoded::Encoding;
use super::estimates::{Estimates, ScanKey};
use super::gatekeeper::Place;
use super::last_words::LastWords;
use super::late_ends::{LateEnd, LateEnds};
use super::leavers::{Leaver, Leavers};
use super::upstream::exception_code;
use crate::guard::gate::{Ended, Offence};
use crate::metrics::{GuardOutcome, Metrics};

/// How much of an answer's end is kept to find an exception in it; ClickHouse's own end of an answer is as long.
const TAIL_BYTES_MAX: usize = 16 << 10;
/// How much of an encoded answer is looked at in clear for the same.
const CLEAR_BYTES_MAX: usize = 256 << 10;
/// So long after the head of an answer its end may come, for the counts in the head to be those of the whole.
const AFTER_HEAD_MAX: Duration = Duration::from_millis(10);
/// The exception code of a connection that broke.
const NETWORK_ERROR: u32 = 210;

/// A query that ClickHouse has. Dropped before its end, its client has gone: then it is ended.
#[derive(Debug)]
pub(super) struct RunningQuery {
    /// Its place at the gate.
    pub(super) place: Option<Place>,
    /// How to end it; absent for a write, which is never ended, and for a query that another of the same name shadows.
    pub(super) leaver: Option<Leaver>,
    /// Its text, by which its reading is learned; absent for what no estimate says anything of.
    pub(super) scan: Option<ScanKey>,
    /// By what more is learned of its end; absent for a write.
    pub(super) late: Option<LateEnd>,
    /// What its client holds it to, more strictly than the gate.
    pub(super) own_caps: Vec<Offence>,
    /// Present of what may write; given up before the client hears of the end.
    pub(super) written: Option<Written>,
    /// Since when.
    pub(super) since: Instant,
    /// Where its end is told.
    pub(super) leavers: Arc<Leavers>,
    /// Where ends are looked up.
    pub(super) late_ends: Arc<LateEnds>,
    /// Where its reading is learned.
    pub(super) estimates: Arc<Estimates>,
    /// Where it is counted.
    pub(super) metrics: Arc<Metrics>,
}

/// An answer's body under watch.
#[derive(Debug)]
pub(super) struct WatchedBody {
    body: LastWords<Incoming>,
    query: Option<RunningQuery>,
    recorder: Option<Recorder>,
    summary: Summary,
    exception_code: Option<u32>,
    exception_tag: Option<String>,
    encoding: Encoding,
    tail: Vec<u8>,
    /// Whether the answer had more than the tail holds: then it cannot be decoded from its beginning.
    is_tail_cut: bool,
    head_at: Instant,
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
        drop(self.written.take());
        ended.duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        ended.own_caps = std::mem::take(&mut self.own_caps);
        let late = self.late.take().filter(|_| ended.is_partial);
        ended.is_partial = late.is_some();
        match (self.scan, ended.read_rows, ended.exception_code) {
            (Some(scan), Some(rows), None) => self.estimates.learn(scan, rows),
            (Some(scan), _, Some(_)) => self.estimates.forget(&scan),
            _ => {}
        }
        let outcome = if ended.exception_code.is_some() { GuardOutcome::Failed } else { GuardOutcome::Answered };
        self.metrics.add_guard_query(outcome);
        if let Some(place) = self.place.take() {
            place.end(ended);
        }
        if let Some(late) = late {
            self.late_ends.look_up(late);
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
        let encoding = headers.get(http::header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let encoding = Encoding::of(encoding, false);
        let exception_code = exception_code(headers)
            // A status without a code is of something between here and ClickHouse.
            .or_else(|| (!status.is_success()).then_some(NETWORK_ERROR));
        let exception_tag =
            headers.get("x-clickhouse-exception-tag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let (query, summary) = (Some(query), summary.unwrap_or_default());
        // An answer to HEAD has no body, and nobody asks for the end of none.
        let is_over = body.is_end_stream();
        let mut watched = Self {
            body: LastWords::of(body),
            query,
            recorder,
            summary,
            exception_code,
            exception_tag,
            encoding,
            tail: Vec::new(),
            is_tail_cut: false,
            head_at: Instant::now(),
        };
        if is_over {
            watched.over(false);
        }
        watched
    }

    fn saw(&mut self, bytes: &Bytes) {
        if let Some(recorder) = &mut self.recorder {
            recorder.piece(bytes);
        }
        self.is_tail_cut |= self.tail.len() + bytes.len() > TAIL_BYTES_MAX;
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
        let tag = self.exception_tag.as_deref().filter(|_| self.exception_code.is_none());
        let in_tail = if self.exception_code.is_some() || tag.is_some() {
            exception_in(&clear(self.encoding, &self.tail, self.is_tail_cut), tag)
        } else {
            None
        };
        let code =
            self.exception_code.or(in_tail.as_ref().map(|(code, _)| *code)).or(is_broken.then_some(NETWORK_ERROR));
        let is_final = is_final(self.head_at.duration_since(query.since), self.head_at.elapsed());
        // What a whole run took, or why one broke off.
        let is_partial =
            if is_broken { in_tail.is_none() && self.exception_code.is_none() } else { code.is_none() && !is_final };
        let number = |text: &Option<String>| text.as_ref().filter(|_| is_final).and_then(|text| text.parse().ok());
        query.end(Ended {
            exception_code: code,
            exception: in_tail.map(|(_, message)| message),
            memory_bytes: number(&self.summary.memory_usage).filter(|bytes| *bytes > 0),
            read_rows: number(&self.summary.read_rows),
            read_bytes: number(&self.summary.read_bytes),
            is_partial,
            ..Ended::default()
        });
        if let Some(recorder) = self.recorder.take().filter(|_| code.is_none()) {
            recorder.land();
        }
    }
}

/// Whether the summary in the head counts the whole query: ClickHouse writes the head when the first megabyte of an answer
/// is full, or at the end. Where much time passes after it, the query went on, and the counts are of its beginning.
fn is_final(before_head: Duration, after_head: Duration) -> bool {
    after_head <= AFTER_HEAD_MAX + before_head / 10
}

/// The end of an answer in clear. Of an encoded one nothing, unless all of it is there: what failed at once is short. With
/// `compress=1` an exception is in ClickHouse's own blocks, and no header says so.
fn clear(encoding: Encoding, tail: &[u8], is_cut: bool) -> Cow<'_, str> {
    let decoded = |encoding: Encoding| match is_cut {
        true => Cow::from(""),
        false => String::from_utf8_lossy(&encoding.decode(tail, CLEAR_BYTES_MAX).text).into_owned().into(),
    };
    if encoding != Encoding::Plain {
        return decoded(encoding);
    }
    let blocks = decoded(Encoding::Blocks);
    if blocks.is_empty() { String::from_utf8_lossy(tail) } else { blocks }
}

/// The exception at the end of an answer: of one that began well it stands behind a mark that ClickHouse made up for this
/// answer, so that no row of a result can look like it; else it is all there is.
fn exception_in(tail: &str, tag: Option<&str>) -> Option<(u32, String)> {
    const START: &str = "Code: ";
    let text = match tag {
        Some(tag) => tail.split_once(&format!("__exception__\r\n{tag}\r\n"))?.1,
        None => tail,
    };
    let text = &text[text.find(START)?..];
    let digits: String = text[START.len()..].chars().take_while(char::is_ascii_digit).collect();
    let end = text.find("\r\n__exception__").unwrap_or(text.len());
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
        let (code, message) = exception_in(middle, Some("abc")).unwrap();
        assert_eq!(code, 395);
        assert!(message.starts_with("Code: 395. DB::Exception: no. (X)"), "{message}");
        assert_eq!(exception_in(middle, Some("abd")), None);
        assert_eq!(exception_in("Code: 62. DB::Exception: Syntax\n", None).unwrap().0, 62);
        assert_eq!(exception_in("", None), None);
    }

    #[test]
    fn an_encoded_exception_is_read_as_far_as_it_is_all_there() {
        let text = "Code: 241. DB::Exception: Query memory limit exceeded: would use 2 MiB, maximum: 1 MiB. (X)";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(exception_in(&clear(Encoding::Gzip, &gzip, false), None), Some((241, text.to_owned())));
        assert_eq!(exception_in(&clear(Encoding::Gzip, &gzip, true), None), None);
        assert_eq!(exception_in(&clear(Encoding::Unknown, &gzip, false), None), None);
        let data = lz4_flex::block::compress(text.as_bytes());
        let mut block = vec![0; 16];
        block.push(0x82);
        block.extend((data.len() as u32 + 9).to_le_bytes());
        block.extend((text.len() as u32).to_le_bytes());
        block.extend(data);
        assert_eq!(exception_in(&clear(Encoding::Plain, &block, false), None), Some((241, text.to_owned())));
        assert_eq!(clear(Encoding::Plain, text.as_bytes(), true), text);
    }

    #[test]
    fn a_summary_of_a_query_that_went_on_is_not_its_last_word() {
        let ms = Duration::from_millis;
        assert!(is_final(ms(3), ms(1)) && is_final(ms(2_000), ms(150)));
        assert!(!is_final(ms(3), ms(500)) && !is_final(ms(1_000), ms(3_000)));
    }
}
