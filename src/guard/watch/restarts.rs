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

/// Of an id the query log is asked for so many characters from its end: all ids of a look have to fit into an address.
const ID_CHARS_ASKED: usize = 32;
/// Between ids.
const ID_SEPARATOR: &str = "\u{1f}";

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

/// What the restart left behind. A query log that cannot be read leaves it open whether queries had ended.
pub(super) async fn left(client: &ClickHouse, last: &Look, next: &Look, suspect_share_min: f64) -> Left {
    let (from_ms, to_ms) = ends_between(last, next);
    let (from_ms, to_ms, ids) = (from_ms.to_string(), to_ms.to_string(), asked_ids(last));
    let parameters = [("from_ms", from_ms.as_str()), ("to_ms", to_ms.as_str()), ("ids", ids.as_str())];
    let ended: Option<BTreeSet<String>> = match client.fetch::<EndedRow>(sql::ENDED_SINCE, &parameters).await {
        Ok(rows) => Some(rows.into_iter().map(|row| row.query_id).collect()),
        Err(error) => {
            tracing::info!(code = error.code(), %error, "the query log cannot tell what ended before the restart");
            None
        }
    };
    left_behind(last, ended.as_ref(), suspect_share_min)
}

/// Ends of the ids of a look, of which there are as many as it lists.
fn asked_ids(last: &Look) -> String {
    let ends = last.queries.iter().map(|query| {
        let id = query.query_id.as_str();
        let begin = id.char_indices().rev().nth(ID_CHARS_ASKED - 1).map_or(0, |(begin, _)| begin);
        &id[begin..]
    });
    ends.collect::<Vec<_>>().join(ID_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::black_box::QueryInFlight;
    use crate::model::Text;

    #[test]
    fn only_the_queries_of_the_look_are_asked_for() {
        let query = |id: &str| QueryInFlight { query_id: Text::from(id), ..QueryInFlight::default() };
        let queries = vec![query("short"), query(&format!("ä{}", "ö".repeat(32)))];
        let last = Look { queries, ..Look::default() };
        assert_eq!(asked_ids(&last), format!("short\u{1f}{}", "ö".repeat(32)));
    }
}
