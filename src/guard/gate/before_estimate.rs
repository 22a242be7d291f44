//! What the gate says of a query before its estimate is asked for: an estimate is a statement too, and may be as heavy as
//! the query, because ClickHouse executes what stands in `IN (SELECT …)` for it.

use super::Ask;
use super::admission::Admission;
use super::caps::Caps;
use crate::model::Timestamp;

/// So long an estimate may take, in milliseconds: ClickHouse counts in whole seconds, and the proxy does not wait for one.
const ESTIMATE_MS_MAX: u64 = 1_000;

/// What the gate says before an estimate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeforeEstimate {
    /// Whether the query is refused however little it reads: then an estimate would be for nothing.
    pub is_refused: bool,
    /// Names (of [`SETTINGS`](super::SETTINGS)) and values of the settings that hold an estimate to its class's caps, but
    /// for those of the query's own rows: how many these are is the question.
    pub settings: Vec<(&'static str, String)>,
}

impl Admission {
    pub(super) fn before_estimate(&self, ask: &Ask, at: Timestamp) -> BeforeEstimate {
        let at = at.max(self.now);
        // What is refused to a query that reads nothing is refused to all. A breaker that lets smaller scans pass is not
        // among it: who is to pass there is told by the estimate alone.
        let smallest = Ask { estimated_rows: Some(0), limit_trap: false, ..ask.clone() };
        let Some((_, class)) = self.class_of(ask).filter(|_| self.refused_at_once(&smallest, at).is_none()) else {
            return BeforeEstimate { is_refused: true, settings: Vec::new() };
        };
        let caps = Caps {
            result_rows: None,
            duration_ms: Some(ESTIMATE_MS_MAX),
            threads: Some(1),
            ..self.caps_of(class, self.caps_share(at))
        };
        BeforeEstimate { is_refused: false, settings: caps.settings(true) }
    }
}
