//! Identical queries in flight share one answer. The first one runs, the others wait for its answer; one that fails, is
//! long, or whose client leaves fails nobody else: the others then run themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;

use super::answer::{Answer, AnswerBody};

/// Longest answer that is shared.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// All answers being kept for sharing, together. At the bound queries run each for itself.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What a query is identical by.
pub(super) type Key = [u8; 32];

/// The queries in flight that others may follow.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    flights: Mutex<HashMap<Key, watch::Receiver<Flight>>>,
    kept_bytes: AtomicUsize,
}

#[derive(Debug, Clone)]
enum Flight {
    Up,
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

impl Collapse {
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
        let flight = self.0.wait_for(|flight| !matches!(flight, Flight::Up)).await.ok()?.clone();
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
            self.headers = Some(headers.clone());
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
        recorder.head(StatusCode::OK, &HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]));
        recorder.piece(&Bytes::from_static(b"a"));
        recorder.piece(&Bytes::from_static(b"b"));
        recorder.land();
        let answer = followed.answer().await.unwrap();
        assert_eq!(answer.headers()["etag"], "x");
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
}
