//! The stream of what is told, for whoever listens over HTTP: the newest events, numbered, and a way to wait for more.
//!
//! Readers hold nothing up: each reads from the shared list when it can. One that is so slow that events it has not read
//! are gone is told so, and dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::{Page, Timestamp, Transition};

/// Most events kept for readers that come back.
pub const EVENTS_KEPT_MAX: usize = 1_000;
/// Most bytes of them: the oldest make room.
pub const EVENT_BYTES_KEPT_MAX: usize = 16 * 1_024 * 1_024;

/// An event of the stream.
#[derive(Debug)]
pub struct StreamEvent {
    /// Counts from 1 at each start of the process.
    pub number: u64,
    /// `page` or `transition`.
    pub kind: &'static str,
    /// JSON, without a line break.
    pub data: String,
}

/// The newest events.
#[derive(Debug)]
struct Kept {
    events: VecDeque<Arc<StreamEvent>>,
    bytes: usize,
    next: u64,
}

/// The end of the stream that is written.
#[derive(Debug)]
pub struct StreamWriter {
    kept: watch::Sender<Kept>,
    run: Arc<str>,
}

/// The end of the stream that is read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StreamReader {
    kept: watch::Receiver<Kept>,
    run: Arc<str>,
}

/// What a reader finds.
#[derive(Debug)]
pub enum Found {
    /// The next event.
    Event(Arc<StreamEvent>),
    /// So many events were gone before they were read.
    Missed(u64),
    /// The service ends.
    End,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Number of its first event.
    pub number: u64,
    /// Whether it missed anything since it was here last.
    pub missed: Missed,
}

/// What a reader that comes back has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// So many events.
    Count(u64),
    /// It was here at another start of the process: nobody knows.
    Unknown,
}

/// The two ends. `started_at` tells the numbers of this start from those of others.
#[must_use]
pub fn event_stream(started_at: Timestamp) -> (StreamWriter, StreamReader) {
    let run: Arc<str> = format!("{:x}", started_at.as_millis()).into();
    let (sender, receiver) = watch::channel(Kept { events: VecDeque::new(), bytes: 0, next: 1 });
    (StreamWriter { kept: sender, run: Arc::clone(&run) }, StreamReader { kept: receiver, run })
}

impl StreamWriter {
    /// A page.
    pub fn page(&self, page: &Page) {
        self.push("page", serde_json::to_string(page).unwrap_or_default());
    }

    /// A transition.
    pub fn transition(&self, transition: &Transition) {
        self.push("transition", serde_json::to_string(transition).unwrap_or_default());
    }

    /// A further end to read from.
    #[must_use]
    pub fn reader(&self) -> StreamReader {
        StreamReader { kept: self.kept.subscribe(), run: Arc::clone(&self.run) }
    }

    fn push(&self, kind: &'static str, data: String) {
        self.kept.send_modify(|kept| {
            let number = kept.next;
            kept.next += 1;
            kept.bytes += data.len();
            kept.events.push_back(Arc::new(StreamEvent { number, kind, data }));
            while kept.events.len() > EVENTS_KEPT_MAX || (kept.bytes > EVENT_BYTES_KEPT_MAX && kept.events.len() > 1) {
                kept.bytes -= kept.events.pop_front().map_or(0, |event| event.data.len());
            }
        });
    }
}

impl StreamReader {
    /// The id of an event, for `Last-Event-ID`.
    #[must_use]
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// Where to begin: after the event with this id; without one, with what comes from now on. Where events are gone, with
    /// the first that is kept.
    #[must_use]
    pub fn begin_after(&self, last_event_id: Option<&str>) -> Begin {
        let kept = self.kept.borrow();
        let first = kept.events.front().map_or(kept.next, |event| event.number);
        let Some(id) = last_event_id else { return Begin { number: kept.next, missed: Missed::Count(0) } };
        let number = id.strip_prefix(&*self.run).and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok());
        match number.filter(|number| *number < kept.next) {
            Some(last) => Begin { number: first.max(last + 1), missed: Missed::Count(first.saturating_sub(last + 1)) },
            None => Begin { number: first, missed: Missed::Unknown },
        }
    }

    /// Waits for the event with this number.
    pub async fn next(&mut self, number: u64) -> Found {
        let Ok(kept) = self.kept.wait_for(|kept| kept.next > number).await else { return Found::End };
        let first = kept.events.front().map_or(kept.next, |event| event.number);
        if number < first {
            return Found::Missed(first - number);
        }
        let place = usize::try_from(number - first).unwrap_or(usize::MAX);
        kept.events.get(place).map_or(Found::End, |event| Found::Event(Arc::clone(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn number(reader: &mut StreamReader, at: u64) -> Option<u64> {
        match reader.next(at).await {
            Found::Event(event) => Some(event.number),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_goes_on_where_it_was() {
        let (writer, mut reader) = event_stream(Timestamp::from_millis(255));
        for _ in 0..3 {
            writer.push("page", "{}".to_owned());
        }
        assert_eq!(reader.id(2), "ff-2");
        let known = |number| Begin { number, missed: Missed::Count(0) };
        assert_eq!(reader.begin_after(Some("ff-1")), known(2));
        assert_eq!((number(&mut reader, 2).await, number(&mut reader, 3).await), (Some(2), Some(3)));
        assert_eq!(reader.begin_after(None), known(4));
        for other in ["fe-1", "ff-9", "ff-", "", "ff-x"] {
            assert_eq!(reader.begin_after(Some(other)), Begin { number: 1, missed: Missed::Unknown }, "{other}");
        }
        let waits = tokio::spawn(async move { number(&mut reader, 4).await });
        writer.push("page", "{}".to_owned());
        assert_eq!(waits.await.unwrap(), Some(4));
        let mut reader = writer.reader();
        drop(writer);
        assert!(matches!(reader.next(5).await, Found::End));
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_a_slow_reader_is_told_how_much_it_missed() {
        let (writer, mut reader) = event_stream(Timestamp::default());
        for _ in 0..EVENTS_KEPT_MAX + 5 {
            writer.push("page", String::new());
        }
        assert!(matches!(reader.next(1).await, Found::Missed(5)));
        assert_eq!(reader.begin_after(Some("0-2")), Begin { number: 6, missed: Missed::Count(3) });
        assert_eq!(number(&mut reader, 6).await, Some(6));
        for _ in 0..20 {
            writer.push("page", "x".repeat(EVENT_BYTES_KEPT_MAX / 10));
        }
        let kept = reader.kept.borrow();
        assert!(kept.bytes <= EVENT_BYTES_KEPT_MAX && kept.events.len() == 10);
    }
}
