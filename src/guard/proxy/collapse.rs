//! Identical queries in flight share one answer. The first one runs, the others wait for its answer; one that fails, is
//! long, or whose client leaves fails nobody else: the others then run themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use super::answer::{Answer, AnswerBody};
use super::headers::answer_headers;

/// Longest answer that is shared.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// All answers being kept for sharing, together. At the bound queries run each for itself.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Writing tenants that are remembered. At the bound all are forgotten, and nobody follows a query from before.
const WRITERS_MAX: usize = 4_096;
/// Once the other's answer has begun, it is here by then, or whoever follows runs itself: a client may read as slowly as it
/// likes.
const LANDING_TIMEOUT: Duration = Duration::from_secs(2);

/// What a query is identical by.
pub(super) type Key = [u8; 32];

/// Functions that say something else each time, or of whom asks: in lower case, as far as their names begin alike.
const OF_EACH_QUERY: [&str; 11] = [
    "rand",
    "fuzz",
    "generateuuid",
    "generatesnowflakeid",
    "generateserialid",
    "queryid",
    "query_id",
    "initialqueryid",
    "initial_query_id",
    "getclienthttpheader",
    "connectionid",
];

/// The queries in flight that others may follow.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    writes: Mutex<HashMap<String, u64>>,
    writes_forgotten: AtomicU64,
    flights: Mutex<HashMap<Key, watch::Receiver<Flight>>>,
    kept_bytes: AtomicUsize,
}

#[derive(Debug, Clone)]
enum Flight {
    Up,
    /// The answer has begun.
    Landing,
    Landed(Arc<Landed>),
    Lost,
}

/// An answer that is all here.
#[derive(Debug)]
pub(super) struct Landed {
    headers: HeaderMap,
    pieces: VecDeque<Bytes>,
}

/// What a query is among those like it.
#[derive(Debug)]
pub(super) enum Role {
    /// The first: others may follow.
    First(Recorder),
    /// Another is under way.
    Follows(Followed),
}

/// A write under way. When it is over, what its tenant reads from then on follows nobody from before.
#[derive(Debug)]
pub(super) struct Written {
    collapse: Arc<Collapse>,
    tenant: String,
}

impl Written {
    /// Of a tenant.
    pub(super) fn of(collapse: &Arc<Collapse>, tenant: &str) -> Self {
        Self { collapse: Arc::clone(collapse), tenant: tenant.to_owned() }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.collapse.wrote(&self.tenant);
    }
}

/// Another query that is followed.
#[derive(Debug)]
pub(super) struct Followed(watch::Receiver<Flight>);

/// Keeps the answer of the first query for those who follow it.
#[derive(Debug)]
pub(super) struct Recorder {
    key: Key,
    collapse: Arc<Collapse>,
    sender: watch::Sender<Flight>,
    headers: Option<HeaderMap>,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    is_over: bool,
}

/// Whether a text may name a function whose answer is each query's own. Of a name that only looks like one it is taken for
/// one: then the query runs by itself.
pub(super) fn is_each_ones_own(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    OF_EACH_QUERY.iter().any(|name| {
        lower.match_indices(name).any(|(at, _)| !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

impl Collapse {
    /// A write of the tenant is over: a query that comes after it must not follow one from before.
    fn wrote(&self, tenant: &str) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if writes.len() >= WRITERS_MAX && !writes.contains_key(tenant) {
            writes.clear();
            self.writes_forgotten.fetch_add(1, Ordering::Relaxed);
        }
        *writes.entry(tenant.to_owned()).or_default() += 1;
    }

    /// What a key must name so that a client reads what it wrote.
    pub(super) fn epoch(&self, tenant: &str) -> (u64, u64) {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        (self.writes_forgotten.load(Ordering::Relaxed), writes.get(tenant).copied().unwrap_or_default())
    }

    /// Joins a query under way, or is the first.
    pub(super) fn join(self: &Arc<Self>, key: Key) -> Role {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&key) {
            return Role::Follows(Followed(flight.clone()));
        }
        let (sender, receiver) = watch::channel(Flight::Up);
        flights.insert(key, receiver);
        let (collapse, pieces) = (Arc::clone(self), VecDeque::new());
        Role::First(Recorder { key, collapse, sender, headers: None, pieces, bytes: 0, is_over: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    /// The answer of the other; absent when there is none to share.
    pub(super) async fn answer(mut self) -> Option<Answer> {
        self.0.wait_for(|flight| !matches!(flight, Flight::Up)).await.ok()?;
        let landed = self.0.wait_for(|flight| !matches!(flight, Flight::Up | Flight::Landing));
        let flight = tokio::time::timeout(LANDING_TIMEOUT, landed).await.ok()?.ok()?.clone();
        let Flight::Landed(landed) = flight else { return None };
        let mut response = Response::new(AnswerBody::Kept(landed.pieces.clone()));
        *response.headers_mut() = landed.headers.clone();
        Some(response)
    }
}

impl Recorder {
    /// The head of the answer. One that is an exception is not shared.
    pub(super) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        if status == StatusCode::OK && !headers.contains_key("x-clickhouse-exception-code") {
            let mut headers = headers.clone();
            // Those of the connection are not of the followers'.
            answer_headers(&mut headers);
            self.headers = Some(headers);
            // Nobody may be following.
            let _ = self.sender.send(Flight::Landing);
        } else {
            self.lose();
        }
    }

    /// A piece of the answer.
    pub(super) fn piece(&mut self, piece: &Bytes) {
        if self.is_over {
            return;
        }
        let kept = self.collapse.kept_bytes.fetch_add(piece.len(), Ordering::Relaxed);
        self.bytes += piece.len();
        if self.bytes > ANSWER_BYTES_MAX || kept + piece.len() > KEPT_BYTES_MAX {
            self.lose();
        } else {
            self.pieces.push_back(piece.clone());
        }
    }

    /// The answer is whole.
    pub(super) fn land(mut self) {
        if let Some(headers) = self.headers.take().filter(|_| !self.is_over) {
            let pieces = std::mem::take(&mut self.pieces);
            self.leave(Flight::Landed(Arc::new(Landed { headers, pieces })));
        }
    }

    fn lose(&mut self) {
        self.leave(Flight::Lost);
    }

    /// From now on a query like it is a first one again.
    fn leave(&mut self, flight: Flight) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.collapse.lock().remove(&self.key);
        self.collapse.kept_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
        self.pieces.clear();
        // Nobody may be following.
        let _ = self.sender.send(flight);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lose();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    const KEEP_ALIVE: http::HeaderName = http::HeaderName::from_static("keep-alive");

    fn first(collapse: &Arc<Collapse>) -> Recorder {
        match collapse.join([1; 32]) {
            Role::First(recorder) => recorder,
            Role::Follows(_) => panic!("somebody else was first"),
        }
    }

    fn follower(collapse: &Arc<Collapse>) -> Followed {
        match collapse.join([1; 32]) {
            Role::Follows(followed) => followed,
            Role::First(_) => panic!("nobody was first"),
        }
    }

    #[tokio::test]
    async fn followers_get_the_whole_answer_once_it_is_there() {
        let collapse = Arc::<Collapse>::default();
        let mut recorder = first(&collapse);
        let followed = follower(&collapse);
        let headers = [(http::header::ETAG, "x"), (http::header::CONNECTION, "close"), (KEEP_ALIVE, "timeout=3")];
        recorder
            .head(StatusCode::OK, &headers.map(|(name, value)| (name, value.parse().unwrap())).into_iter().collect());
        recorder.piece(&Bytes::from_static(b"a"));
        recorder.piece(&Bytes::from_static(b"b"));
        recorder.land();
        let answer = followed.answer().await.unwrap();
        assert_eq!(answer.headers()["etag"], "x");
        assert_eq!(answer.headers().len(), 1, "{:?}", answer.headers());
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ab");
        assert_eq!(collapse.kept_bytes.load(Ordering::Relaxed), 0);
        drop(first(&collapse));
    }

    #[tokio::test]
    async fn an_exception_a_long_answer_or_a_client_that_left_is_nobody_elses() {
        let collapse = Arc::<Collapse>::default();
        let lost: [fn(Recorder); 4] = [
            drop,
            |mut recorder| recorder.head(StatusCode::INTERNAL_SERVER_ERROR, &HeaderMap::new()),
            |mut recorder| {
                recorder.head(StatusCode::OK, &HeaderMap::new());
                recorder.piece(&Bytes::from(vec![0; ANSWER_BYTES_MAX + 1]));
                recorder.land();
            },
            Recorder::land,
        ];
        for lose in lost {
            let recorder = first(&collapse);
            let followed = follower(&collapse);
            lose(recorder);
            assert!(followed.answer().await.is_none());
            assert_eq!(collapse.kept_bytes.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_an_answer_that_its_client_does_not_read() {
        let collapse = Arc::<Collapse>::default();
        let mut recorder = first(&collapse);
        let followed = follower(&collapse);
        recorder.head(StatusCode::OK, &HeaderMap::new());
        let since = tokio::time::Instant::now();
        assert!(followed.answer().await.is_none());
        assert!(since.elapsed() >= LANDING_TIMEOUT);
        drop(recorder);
    }

    #[test]
    fn a_write_is_seen_by_what_its_tenant_reads_after_it() {
        let collapse = Collapse::default();
        let before = collapse.epoch("a");
        collapse.wrote("b");
        assert_eq!(collapse.epoch("a"), before);
        collapse.wrote("a");
        let after = collapse.epoch("a");
        assert_ne!(after, before);
        for number in 0..WRITERS_MAX {
            collapse.wrote(&format!("other {number}"));
        }
        assert!(![before, after].contains(&collapse.epoch("a")));
        assert!(collapse.writes.lock().unwrap().len() <= WRITERS_MAX);
    }

    #[test]
    fn texts_whose_answer_is_each_ones_own_are_told() {
        for text in
            ["SELECT rand64()", "SELECT generateUUIDv4()", "select QUERYID()", "SELECT getClientHTTPHeader('a')"]
        {
            assert!(is_each_ones_own(text), "{text}");
        }
        assert!(is_each_ones_own("SELECT generateSnowflakeID(), 1") && is_each_ones_own("SELECT `randCanonical`()"));
        for text in ["SELECT brand FROM t", "SELECT count() FROM operand", "SELECT 1"] {
            assert!(!is_each_ones_own(text), "{text}");
        }
    }
}
