//! Watches for restarts: the last look before, and what the server's own log says about it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::guard::black_box::{Left, Look, ends_between, is_restart, left_behind};
use crate::guard::sql;
use crate::store::ClickHouse;

/// The last look, across restarts of ours.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    last: Option<Look>,
    lost: bool,
}

#[derive(Debug, Deserialize)]
struct EndedRow {
    query_id: String,
}

impl Restarts {
    /// Goes on from what an earlier guard saw last: the server may have gone while nobody looked.
    pub(super) fn after(last: Option<Look>) -> Self {
        Self { lost: last.is_some(), last }
    }

    /// The server did not answer.
    pub(super) fn lost(&mut self) {
        self.lost = true;
    }

    /// Takes in a look; when it is of another run of the server, the last look of the run before.
    pub(super) fn look(&mut self, look: &Look) -> Option<Look> {
        let restarted = self.last.as_ref().is_some_and(|last| is_restart(last, look, self.lost));
        self.lost = false;
        let before = self.last.replace(look.clone());
        before.filter(|_| restarted)
    }
}

/// What the restart left behind. A query log that cannot be read says of no query that it ended.
pub(super) async fn left(client: &ClickHouse, last: &Look, next: &Look, suspect_share_min: f64) -> Left {
    let (from_ms, to_ms) = ends_between(last, next);
    let (from_ms, to_ms) = (from_ms.to_string(), to_ms.to_string());
    let parameters = [("from_ms", from_ms.as_str()), ("to_ms", to_ms.as_str())];
    let ended = match client.fetch::<EndedRow>(sql::ENDED_SINCE, &parameters).await {
        Ok(rows) => rows.into_iter().map(|row| row.query_id).collect(),
        Err(error) => {
            tracing::info!(code = error.code(), %error, "the query log cannot tell what ended before the restart");
            BTreeSet::new()
        }
    };
    left_behind(last, &ended, suspect_share_min)
}
