//! Looks at a server: two small statements on a connection of its own, under a deadline.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use serde::Deserialize;

use super::look::TEXT_CHARS_MAX;
use super::look::{Look, NAME_CHARS_MAX, QUERIES_LARGEST_MAX, QUERIES_NEWEST_MAX, QueryInFlight, QueryKind};
use crate::guard::sql;
use crate::model::{LogComment, Text, Timestamp, normalise_sql, sql_fingerprint};
use crate::store::{ClickHouse, StoreError};

/// Rows of one look: the largest, the newest, and room for those that are being killed.
const ROWS_MAX: usize = QUERIES_LARGEST_MAX + QUERIES_NEWEST_MAX + 32;

/// Asks one server.
#[derive(Debug)]
pub struct Looker {
    client: ClickHouse,
    memory_bytes_max: Option<u64>,
    /// Fingerprint and short text of what was in flight at the last look: a long query is normalised once.
    known: HashMap<(Text, u64), (Text, Text)>,
    /// Tells texts apart: an id may come again with another text of the same length.
    hashes: RandomState,
}

#[derive(Debug, Deserialize)]
struct ServerRow {
    server_ms: i64,
    uptime_seconds: u64,
    memory_used_bytes: u64,
    merges_memory_bytes: u64,
    memory_limit_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct ProcessRow {
    query_id: String,
    text: String,
    user: String,
    kind: String,
    initial: u8,
    cancelled: u8,
    agent: String,
    comment: String,
    memory_bytes: u64,
    memory_peak_bytes: u64,
    query_limit_bytes: u64,
    read_rows: u64,
    total_rows: u64,
    elapsed_ms: i64,
    in_flight: u64,
}

impl Looker {
    /// Asks through `client`; `memory_bytes_max` is the policy's limit S, when it has one.
    #[must_use]
    pub fn new(client: ClickHouse, memory_bytes_max: Option<u64>) -> Self {
        Self { client, memory_bytes_max, known: HashMap::new(), hashes: RandomState::new() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// The server did not answer both statements in time.
    pub async fn look(&mut self, at: Timestamp) -> Result<Look, StoreError> {
        let limits = [
            ("largest", QUERIES_LARGEST_MAX.to_string()),
            ("newest", QUERIES_NEWEST_MAX.to_string()),
            ("rows", ROWS_MAX.to_string()),
        ];
        let parameters: Vec<(&str, &str)> = limits.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (server, processes) = tokio::try_join!(
            self.client.fetch::<ServerRow>(sql::SERVER, &[]),
            self.client.fetch::<ProcessRow>(sql::PROCESSES, &parameters),
        )?;
        let server = server.first().ok_or_else(|| StoreError::Protocol("no row about the server".to_owned()))?;
        let known = std::mem::take(&mut self.known);
        let in_flight = processes.first().map_or(0, |row| row.in_flight);
        let queries = processes.into_iter().map(|row| self.query(row, &known)).collect();
        Ok(Look {
            at,
            server_ms: server.server_ms,
            uptime_seconds: server.uptime_seconds,
            memory_used_bytes: server.memory_used_bytes,
            merges_memory_bytes: server.merges_memory_bytes,
            memory_limit_bytes: limit(self.memory_bytes_max, server.memory_limit_bytes),
            in_flight,
            queries,
        })
    }

    fn query(&mut self, row: ProcessRow, known: &HashMap<(Text, u64), (Text, Text)>) -> QueryInFlight {
        let key = (Text::from(row.query_id.as_str()), self.hashes.hash_one(&row.text));
        let (fingerprint, text) = known.get(&key).cloned().unwrap_or_else(|| {
            let normal = normalise_sql(&row.text);
            (sql_fingerprint(&normal), cut(&normal, TEXT_CHARS_MAX))
        });
        let query_id = key.0.clone();
        self.known.insert(key, (fingerprint.clone(), text.clone()));
        let comment = LogComment::parse(&row.comment);
        let short = |text: Text| cut(&text, NAME_CHARS_MAX);
        let agent = (!row.agent.is_empty()).then(|| cut(&row.agent, NAME_CHARS_MAX));
        QueryInFlight {
            query_id,
            fingerprint,
            text,
            user: cut(&row.user, NAME_CHARS_MAX),
            kind: QueryKind::parse(&row.kind),
            initial: row.initial != 0,
            cancelled: row.cancelled != 0,
            origin: comment.origin().map(short).or(agent),
            version: comment.version().map(short),
            subscription: comment.subscription().map(short),
            memory_bytes: row.memory_bytes,
            memory_peak_bytes: row.memory_peak_bytes,
            memory_limit_bytes: row.query_limit_bytes,
            read_rows: row.read_rows,
            total_rows: row.total_rows,
            elapsed_ms: row.elapsed_ms,
        }
    }
}

/// The smaller of both limits; 0 is none.
fn limit(policy: Option<u64>, server: u64) -> u64 {
    match policy {
        Some(policy) if server > 0 => policy.min(server),
        Some(policy) => policy,
        None => server,
    }
}

fn cut(text: &str, chars_max: usize) -> Text {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Text::from(format!("{}…", &text[..end])),
        None => Text::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_counts_and_none_is_no_limit() {
        assert_eq!((limit(Some(5), 3), limit(Some(2), 3)), (3, 2));
        assert_eq!((limit(Some(5), 0), limit(None, 3), limit(None, 0)), (5, 3, 0));
    }

    #[test]
    fn an_id_that_comes_again_with_another_text_is_another_pattern() {
        let endpoint = crate::store::Endpoint {
            url: "http://127.0.0.1:1".to_owned(),
            database: "system".to_owned(),
            user: "guard".to_owned(),
            password: crate::config::Secret::default(),
            timeout: std::time::Duration::from_secs(1),
            tls: None,
        };
        let mut looker = Looker::new(ClickHouse::new(&endpoint), None);
        let mut seen = |text: &str| {
            let row = serde_json::json!({
                "query_id": "same", "text": text, "user": "app", "kind": "Select", "initial": 1, "cancelled": 0,
                "agent": "", "comment": "", "memory_bytes": 1, "memory_peak_bytes": 1, "query_limit_bytes": 0, "read_rows": 0,
                "total_rows": 0, "elapsed_ms": 1, "in_flight": 1,
            });
            let known = std::mem::take(&mut looker.known);
            looker.query(serde_json::from_value(row).unwrap(), &known)
        };
        let (first, other) = (seen("SELECT a FROM t"), seen("SELECT b FROM t"));
        assert_ne!(first.fingerprint, other.fingerprint);
        assert_eq!(seen("SELECT b FROM t").fingerprint, other.fingerprint);
    }

    #[test]
    fn what_a_client_chose_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äö", 2), "äö");
    }
}
