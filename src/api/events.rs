//! `/api/v1/events`: pages and transitions as they come, as server-sent events.
//!
//! Each event has an id. A reader that comes back with `Last-Event-ID` gets what it missed, as far as it is kept; what is
//! not is told by an event `missed`. A reader that is too slow is told so (`dropped`) and has to come back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Problem, ProblemCode};
use super::{ApiState, query};
use crate::alert::notify::{Found, Missed, StreamReader};
use crate::metrics::Metrics;

/// Readers at a time: people and consoles. The other connections are for requests.
pub const READERS_MAX: usize = 64;
/// A comment is sent this often when nothing happens: connections without any traffic are closed after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Who was turned away may come again soon.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The stream, and places for those who read it.
#[derive(Debug, Clone)]
pub struct EventReaders {
    stream: StreamReader,
    places: Arc<Semaphore>,
}

impl EventReaders {
    /// Nobody reads yet.
    #[must_use]
    pub fn new(stream: StreamReader) -> Self {
        Self { stream, places: Arc::new(Semaphore::new(READERS_MAX)) }
    }
}

/// A place, counted while it is held.
struct Place {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, metrics: Arc<Metrics>) -> Self {
        metrics.add_event_stream_reader();
        Self { metrics, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.remove_event_stream_reader();
    }
}

/// One reader.
struct Reader {
    stream: StreamReader,
    next: u64,
    missed: Missed,
    is_over: bool,
    place: Place,
}

/// `/api/v1/events`.
pub(super) async fn events(State(state): State<ApiState>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    query::none(&uri)?;
    let Some(readers) = &state.events else {
        return Err(Problem::new(ProblemCode::NotFound, "there is no stream of events here"));
    };
    let Ok(permit) = Arc::clone(&readers.places).try_acquire_owned() else {
        let full = format!("{READERS_MAX} readers are there already");
        return Err(Problem::new(ProblemCode::Overloaded, full).retry_after(RETRY_AFTER));
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let begin = readers.stream.begin_after(last);
    let place = Place::new(permit, Arc::clone(&state.metrics));
    let (stream, next, missed) = (readers.stream.clone(), begin.number, begin.missed);
    let reader = Reader { stream, next, missed, is_over: false, place };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        match std::mem::replace(&mut self.missed, Missed::Count(0)) {
            Missed::Count(0) => {}
            Missed::Count(count) => return Some(told("missed", Some(count), "they are no longer kept")),
            Missed::Unknown => return Some(told("missed", None, "the service was started anew since")),
        }
        match self.stream.next(self.next).await {
            Found::Event(event) => {
                self.next = event.number + 1;
                Some(Event::default().id(self.stream.id(event.number)).event(event.kind).data(&event.data))
            }
            Found::Missed(count) => {
                self.is_over = true;
                self.place.metrics.add_event_stream_dropped();
                Some(told("dropped", Some(count), "this reader is too slow: come back with Last-Event-ID"))
            }
            Found::End => None,
        }
    }
}

fn told(kind: &'static str, missed: Option<u64>, why: &'static str) -> Event {
    Event::default().event(kind).data(serde_json::json!({"missed": missed, "why": why}).to_string())
}
