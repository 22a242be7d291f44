//! How far `system.query_log` was read: nothing twice, and what the server writes late all the same.
//!
//! The server writes its log with delay, and not in the order of event time. So a look begins some time before the
//! newest row seen, and rows that were seen already are recognised by time and id.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How far before the newest row a look begins, in microseconds: the server writes its log every 7.5 s by default.
const OVERLAP_US: i64 = 30_000_000;
/// How far back is read at most: after an outage, or behind more queries than are read, older ones are left out.
const BACKLOG_US_MAX: i64 = 600_000_000;
/// Most rows remembered to recognise them. Beyond, the oldest are forgotten, and no look begins before them.
const SEEN_MAX: usize = 100_000;

/// A place between two rows: after this time and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    pub time_us: i64,
    pub query_id: String,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct QueryCursor {
    newest_us: Option<i64>,
    /// No look begins before it: rows up to here may have been forgotten.
    floor_us: i64,
    /// Where to go on when the last look did not come to the end.
    resume: Option<Position>,
    seen: BTreeSet<(i64, u64)>,
    /// How often the backlog was too long, and its beginning left out.
    pub skipped: u64,
}

impl QueryCursor {
    /// Where a look begins when the server's clock shows `now_us`. The first begins a little back: what a restart of ours
    /// missed is worth more than a row that is told twice.
    pub fn begin(&mut self, now_us: i64) -> Position {
        let oldest_us = now_us - BACKLOG_US_MAX;
        let position = self.resume.take().unwrap_or_else(|| {
            let time_us = (self.newest_us.unwrap_or(now_us) - OVERLAP_US).max(self.floor_us);
            Position { time_us, query_id: String::new() }
        });
        if position.time_us >= oldest_us {
            return position;
        }
        self.skipped += 1;
        Position { time_us: oldest_us, query_id: String::new() }
    }

    /// Whether this row is new.
    pub fn take(&mut self, position: &Position) -> bool {
        let mut hasher = DefaultHasher::new();
        position.query_id.hash(&mut hasher);
        let new = self.seen.insert((position.time_us, hasher.finish()));
        self.newest_us = Some(self.newest_us.map_or(position.time_us, |newest| newest.max(position.time_us)));
        while self.seen.len() > SEEN_MAX {
            self.floor_us = self.seen.pop_first().map_or(self.floor_us, |(time_us, _)| time_us);
        }
        new
    }

    /// The look came to the end of the log, or stopped `unfinished` after a row.
    pub fn end(&mut self, unfinished: Option<Position>) {
        self.resume = unfinished;
        let newest_us = self.newest_us.unwrap_or_default();
        self.seen = self.seen.split_off(&(newest_us - OVERLAP_US, 0));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn row(time_us: i64, query_id: &str) -> Position {
        Position { time_us, query_id: query_id.to_owned() }
    }

    #[test]
    fn a_row_that_is_written_late_is_told_and_one_that_was_told_is_not() {
        let mut cursor = QueryCursor::default();
        let now = 10_000 * SECOND_US;
        assert_eq!(cursor.begin(now).time_us, now - OVERLAP_US);
        assert!(cursor.take(&row(now, "b")));
        cursor.end(None);
        assert!(cursor.begin(now + SECOND_US).time_us <= now - 5 * SECOND_US);
        assert!(cursor.take(&row(now - 5 * SECOND_US, "a")), "written late");
        assert!(!cursor.take(&row(now, "b")), "told before");
        assert!(cursor.take(&row(now, "c")), "the same microsecond");
    }

    #[test]
    fn a_look_that_was_cut_goes_on_where_it_stopped_and_a_long_backlog_is_left_out() {
        let mut cursor = QueryCursor::default();
        let now = 10_000 * SECOND_US;
        cursor.begin(now);
        cursor.take(&row(now, "b"));
        cursor.end(Some(row(now, "b")));
        assert_eq!(cursor.begin(now + SECOND_US), row(now, "b"));
        cursor.end(Some(row(now, "b")));
        let later = now + 2 * BACKLOG_US_MAX;
        assert_eq!((cursor.begin(later).time_us, cursor.skipped), (later - BACKLOG_US_MAX, 1));
    }

    proptest! {
        #[test]
        fn every_row_is_told_once_whatever_the_server_writes_late(
            // Rows of a look: seconds since the last look's rows, and how late they are written, in looks.
            rows in prop::collection::vec((0_i64..3, 0_usize..3), 1..60),
        ) {
            let mut cursor = QueryCursor::default();
            let mut log: Vec<(usize, Position)> = Vec::new();
            let mut time_us = 10_000 * SECOND_US;
            for (look, (gap, delay)) in rows.iter().enumerate() {
                time_us += gap * SECOND_US;
                log.push((look + delay, row(time_us, &format!("query-{look}"))));
            }
            let mut told: Vec<Position> = Vec::new();
            let mut clock_us = 10_000 * SECOND_US;
            for look in 0..rows.len() + 3 {
                clock_us = clock_us.max(log.get(look).map_or(clock_us, |(_, row)| row.time_us));
                let from = cursor.begin(clock_us);
                let mut visible: Vec<&Position> =
                    log.iter().filter(|(at, row)| *at <= look && *row > from).map(|(_, row)| row).collect();
                visible.sort();
                told.extend(visible.into_iter().filter(|row| cursor.take(row)).cloned());
                cursor.end(None);
            }
            told.sort();
            let mut expected: Vec<Position> = log.into_iter().map(|(_, row)| row).collect();
            expected.sort();
            prop_assert_eq!(told, expected);
        }
    }
}
