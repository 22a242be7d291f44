//! Whether a server was started anew between two looks, and in order or not. Pure.

use std::collections::BTreeSet;

use super::look::{Look, share};

/// The server's clock and its whole seconds of uptime may be off by this much between two looks.
const START_TOLERANCE_MS: i64 = 3_000;
/// A query log is asked for ends this long before the last look: it is written when a query ends, looks are at any time.
const LOOK_BACK_MS: i64 = 2_000;

/// Whether `next` is of another run of the server than `previous`. `lost`: between them the server did not answer.
#[must_use]
pub fn is_restart(previous: &Look, next: &Look, lost: bool) -> bool {
    let started_ms = |look: &Look| look.server_ms - i64::try_from(look.uptime_seconds).unwrap_or(i64::MAX) * 1_000;
    // A clock that is set makes the start time move too, but does not break connections.
    let later_start = started_ms(next) - started_ms(previous) > START_TOLERANCE_MS;
    next.uptime_seconds < previous.uptime_seconds || (lost && later_start)
}

/// Failures of a look after which the server may be gone: codes of [`StoreError`](crate::store::StoreError). With any other
/// it has answered, and refused: a password that was changed, a grant that was taken, no memory left for the guard's query.
const AWAY: [&str; 6] = ["unreachable", "timed_out", "protocol", "server_stopping", "server_network", "socket_timeout"];

/// Whether a look that failed with this code leaves it open that the server is gone.
#[must_use]
pub fn is_away(code: &str) -> bool {
    AWAY.contains(&code)
}

/// When a query log has to be asked for what ended around a restart: from and to, the server's epoch milliseconds.
#[must_use]
pub fn ends_between(last: &Look, next: &Look) -> (i64, i64) {
    (last.server_ms - LOOK_BACK_MS, next.server_ms)
}

/// What a restart says about the queries of the last look before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Queries were in flight that never ended; absent: nobody knows whether they had.
    pub unclean: Option<bool>,
    /// Fingerprints of those that held much memory and only read; the largest first.
    pub suspects: Vec<String>,
}

/// `ended`: query ids that the query log has an end of; absent when it cannot be read. Then nobody knows who had ended, and
/// whoever held much is a suspect.
#[must_use]
pub fn left_behind(last: &Look, ended: Option<&BTreeSet<String>>, suspect_share_min: f64) -> Left {
    let has_ended = |id: &str| ended.is_some_and(|ended| ended.contains(id));
    let unfinished = || last.queries.iter().filter(|query| !has_ended(query.query_id.as_str()));
    let mut suspects = Vec::new();
    for query in unfinished().filter(|query| query.kind.only_reads()) {
        let memory = query.memory_bytes.max(query.memory_peak_bytes);
        let fingerprint = query.fingerprint.to_string();
        if share(memory, last.memory_limit_bytes) >= suspect_share_min && !suspects.contains(&fingerprint) {
            suspects.push(fingerprint);
        }
    }
    let is_unfinished = unfinished().next().is_some();
    Left { unclean: (ended.is_some() || !is_unfinished).then_some(is_unfinished), suspects }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::black_box::look::{QueryInFlight, QueryKind};
    use crate::model::Text;

    fn look(server_ms: i64, uptime_seconds: u64) -> Look {
        Look { server_ms, uptime_seconds, memory_limit_bytes: 1_000, ..Look::default() }
    }

    #[test]
    fn a_smaller_uptime_or_a_later_start_after_silence_is_a_restart() {
        let before = look(100_000, 50);
        assert!(is_restart(&before, &look(102_000, 1), false));
        assert!(is_restart(&before, &look(300_000, 60), true), "it came back long ago");
        assert!(!is_restart(&before, &look(300_000, 250), true), "only the network was away");
        assert!(!is_restart(&before, &look(300_000, 51), false), "its clock was set");
        assert!(!is_restart(&before, &look(101_900, 51), true));
    }

    #[test]
    fn what_never_ended_makes_it_unclean_and_large_readers_of_it_are_suspects() {
        let query = |id: &str, kind, memory_bytes| QueryInFlight {
            query_id: Text::from(id),
            fingerprint: Text::from(format!("f-{id}")),
            kind,
            memory_bytes,
            ..QueryInFlight::default()
        };
        let queries = vec![
            query("large", QueryKind::Select, 300),
            query("insert", QueryKind::Insert, 200),
            query("ended", QueryKind::Select, 100),
            query("small", QueryKind::Select, 10),
        ];
        let last = Look { queries, ..look(1, 1) };
        let ended = BTreeSet::from(["ended".to_owned()]);
        let left = left_behind(&last, Some(&ended), 0.05);
        assert_eq!(left, Left { unclean: Some(true), suspects: vec!["f-large".to_owned()] });
        let all: BTreeSet<String> = last.queries.iter().map(|query| query.query_id.to_string()).collect();
        assert_eq!(left_behind(&last, Some(&all), 0.05), Left { unclean: Some(false), suspects: Vec::new() });
        let unknown = left_behind(&last, None, 0.05);
        assert_eq!((unknown.unclean, unknown.suspects.len()), (None, 2), "no log says nothing");
        assert_eq!(left_behind(&look(1, 1), None, 0.05).unclean, Some(false), "nothing ran");
    }
}
