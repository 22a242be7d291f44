//! How each probe is doing: for readiness and metrics.

use crate::model::Timestamp;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// A Redis server.
    Redis,
    /// A Prometheus text endpoint.
    Prometheus,
    /// A ClickHouse server.
    Clickhouse,
}

impl ProbeKind {
    /// Name in configuration, messages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Prometheus => "prometheus",
            Self::Clickhouse => "clickhouse",
        }
    }
}

/// Whether the target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeState {
    /// Not looked at yet.
    Starting,
    /// The last look succeeded.
    Up,
    /// The last look failed.
    Down,
}

/// How one probe is doing. Counters only grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeStatus {
    /// What is looked at.
    pub kind: ProbeKind,
    /// Its name in the configuration, unique for its kind.
    pub name: String,
    /// Whether it answers.
    pub state: ProbeState,
    /// When the state last changed (wall clock).
    pub since: Timestamp,
    /// Why the last look failed; empty while up.
    pub error: String,
    /// What could not be read although the target answers; empty when there is nothing to say.
    pub note: String,
    /// Looks that succeeded.
    pub looks: u64,
    /// Looks that failed.
    pub failures: u64,
    /// Events sent.
    pub events: u64,
    /// Events dropped because whoever takes them did not keep up.
    pub events_dropped: u64,
}

impl ProbeStatus {
    pub(super) fn new(kind: ProbeKind, name: &str, now: Timestamp) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            state: ProbeState::Starting,
            since: now,
            error: String::new(),
            note: String::new(),
            looks: 0,
            failures: 0,
            events: 0,
            events_dropped: 0,
        }
    }

    /// `redis/main`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }

    /// Takes what a look came to; tells whether the state changed, and whether the note did.
    pub(super) fn update(&mut self, result: Result<&Option<String>, String>, now: Timestamp) -> (bool, bool) {
        let (state, error, note) = match result {
            Ok(note) => (ProbeState::Up, String::new(), note.clone().unwrap_or_default()),
            Err(error) => (ProbeState::Down, error, String::new()),
        };
        match state {
            ProbeState::Down => self.failures += 1,
            ProbeState::Starting | ProbeState::Up => self.looks += 1,
        }
        let (changed, noted) = (self.state != state, self.note != note && !note.is_empty());
        if changed {
            self.state = state;
            self.since = now;
        }
        (self.error, self.note) = (error, note);
        (changed, noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_counts_go_on() {
        let at = Timestamp::from_millis;
        let mut status = ProbeStatus::new(ProbeKind::Redis, "main", at(0));
        assert_eq!(status.update(Ok(&None), at(1)), (true, false));
        assert_eq!(status.update(Ok(&Some("a note".to_owned())), at(2)), (false, true));
        assert_eq!(status.update(Ok(&Some("a note".to_owned())), at(3)), (false, false));
        assert_eq!(status.update(Err("gone".to_owned()), at(4)), (true, false));
        assert_eq!(status.update(Err("still gone".to_owned()), at(5)), (false, false));
        assert_eq!((status.since, status.error.as_str(), status.note.as_str()), (at(4), "still gone", ""));
        assert_eq!((status.id().as_str(), status.looks, status.failures), ("redis/main", 3, 2));
    }
}
