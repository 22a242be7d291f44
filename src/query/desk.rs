//! The desk: takes questions, asks them on ClickHouse, gives answers.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::{Answer, Held};
use super::error::QueryError;
use super::estimate::{Decision, Estimate, EstimateRow, Explanation, SizeRow};
use super::fence::{FenceError, Readable, check_text, check_tree};
use super::format::ResultFormat;
use super::gatekeeper::Gatekeeper;
use super::restriction;
use super::shares::{Share, Shares};
use super::tally::Tally;
use crate::config::{QUERY_SECONDS_MAX, QueryConfig};
use crate::guard::gate::Ask;
use crate::metrics::{Metrics, QuestionKind};
use crate::model::{Bound, BudgetLimits, normalise_sql, sql_facts, sql_fingerprint, sql_with_database};
use crate::store::{ClickHouse, Endpoint, StoreError};

/// Parsing a text and looking at the catalogue take milliseconds.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long ClickHouse may take beyond a limit of time until it says so.
const GRACE: Duration = Duration::from_secs(3);
/// Rows of the tree of a text: 64 KiB of text can have no more nodes than this by far.
const TREE_LINES_MAX: u64 = 200_000;

/// A row, by column.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asker {
    /// Name of the token; empty where none is asked for.
    pub token: Arc<str>,
    /// Only rows of this subscription may be seen. Absent: all.
    pub subscription: Option<Arc<str>>,
}

/// A text that is part of this program, with values for its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnText<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// The text. `{database}` stands for the database.
    pub(crate) sql: &'a str,
    /// Name and value of each parameter.
    pub(crate) values: &'a [(&'a str, &'a str)],
    /// What it may take.
    pub(crate) limits: BudgetLimits,
}

/// Takes questions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryDesk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: ClickHouse,
    gate: Arc<Gatekeeper>,
    config: QueryConfig,
    metrics: Arc<Metrics>,
    /// Questions of SQL that are prepared or wait.
    prepared: Semaphore,
    /// Those of each token, until they have ended.
    sql_shares: Arc<Shares>,
    named: Arc<Semaphore>,
    named_shares: Arc<Shares>,
}

#[derive(Deserialize)]
struct TreeLine {
    explain: String,
}

/// A text that may be asked, and what it will cost.
#[derive(Debug)]
struct Prepared {
    sql: String,
    ask: Ask,
    estimate: Option<Estimate>,
    client: ClickHouse,
}

impl QueryDesk {
    /// A desk that asks as the user of `endpoint` and counts in `metrics`. Connects with the first question.
    #[must_use]
    pub fn new(endpoint: &Endpoint, config: &QueryConfig, metrics: &Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            client: ClickHouse::new(endpoint),
            gate: Arc::new(Gatekeeper::new(config)),
            prepared: Semaphore::new((config.at_once_max + config.waiting_max) as usize),
            sql_shares: Shares::new("questions", config.at_once_per_token_max),
            named: Arc::new(Semaphore::new(config.named_at_once_max as usize)),
            named_shares: Shares::new("named queries", config.named_at_once_per_token_max),
            config: config.clone(),
            metrics: Arc::clone(metrics),
        }))
    }

    /// Runs a named query and reads its rows: at most as many and as large as its budget says.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn rows(&self, bound: &Bound<'_>, asker: &Asker) -> Result<Vec<Row>, QueryError> {
        let answer = self.named(bound, asker, ResultFormat::Ndjson).await?;
        rows_of(answer).await
    }

    /// Runs a named query within its budget.
    ///
    /// # Errors
    /// See [`QueryError`]; [`FenceError::NotYours`] when it reads what a restricted asker may not.
    pub async fn named(&self, bound: &Bound<'_>, asker: &Asker, format: ResultFormat) -> Result<Answer, QueryError> {
        let values: Vec<(&str, &str)> = bound.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let limits = bound.query.budget.limits();
        let text = OwnText { name: bound.query.name, sql: bound.query.sql, values: &values, limits };
        self.ours(text, asker, format).await
    }

    /// Runs a text of our own, which needs no fence but for the restriction.
    pub(crate) async fn ours(
        &self,
        text: OwnText<'_>,
        asker: &Asker,
        format: ResultFormat,
    ) -> Result<Answer, QueryError> {
        let mut tally = Some(Tally::begin(&self.0.metrics, QuestionKind::Named));
        counted(self.ask_ours(text, asker, format, &mut tally).await, tally)
    }

    async fn ask_ours(
        &self,
        text: OwnText<'_>,
        asker: &Asker,
        format: ResultFormat,
        tally: &mut Option<Tally>,
    ) -> Result<Answer, QueryError> {
        let OwnText { name, sql, values, limits } = text;
        let share = self.0.named_shares.take(&asker.token)?;
        let Ok(permit) = Arc::clone(&self.0.named).try_acquire_owned() else {
            let most = self.0.config.named_at_once_max;
            return Err(QueryError::Busy(format!("{most} named queries run already, which is the most")));
        };
        let client = self.client(asker, name);
        let sql = sql.replace("{database}", client.database());
        if asker.subscription.is_some() {
            check_text(&sql, true, true).map_err(about_rights)?;
            self.check_tables(&client, &sql, values, true).await.map_err(|error| match error {
                QueryError::Fence(error) => QueryError::Fence(about_rights(error)),
                other => other,
            })?;
        }
        let limits = BudgetLimits { time_s: limits.time_s.min(QUERY_SECONDS_MAX.unsigned_abs()), ..limits };
        let client = client.limited(&limits);
        let stream = client.stream(&sql, values, format.clickhouse()).map_err(QueryError::Storage)?;
        let timeout = Duration::from_secs(limits.time_s) + GRACE;
        Answer::begin(stream, format, Held::named(permit, share, tally.take()), timeout, asker.subscription.is_some())
            .await
    }

    /// Runs ad-hoc SQL.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn sql(
        &self,
        text: &str,
        asker: &Asker,
        format: ResultFormat,
    ) -> Result<(Option<Estimate>, Answer), QueryError> {
        let mut tally = Some(Tally::begin(&self.0.metrics, QuestionKind::Sql));
        counted(self.ask_sql(text, asker, format, &mut tally).await, tally)
    }

    async fn ask_sql(
        &self,
        text: &str,
        asker: &Asker,
        format: ResultFormat,
        tally: &mut Option<Tally>,
    ) -> Result<(Option<Estimate>, Answer), QueryError> {
        let (share, _prepared) = self.begin(asker)?;
        let Prepared { sql, ask, estimate, client } = self.prepare(text, asker).await?;
        let mut place = self.0.gate.ask(&asker.token, ask);
        let waiting = tally.as_ref().map(Tally::waits);
        let settings = place
            .verdict()
            .await
            .map_err(|refusal| QueryError::Guard { refusal, estimate: estimate.clone().map(Box::new) })?;
        drop(waiting);
        let result_bytes = ("max_result_bytes", self.0.config.result_bytes_max.0.as_u64().to_string());
        let client = client.with_settings(&settings).with_settings(&[result_bytes]);
        let stream = client.stream(&sql, &[], format.clickhouse()).map_err(QueryError::Storage)?;
        let timeout = self.0.config.timeout.0 + GRACE;
        let held = Held::sql(place, share, tally.take());
        let answer = Answer::begin(stream, format, held, timeout, asker.subscription.is_some()).await?;
        Ok((estimate, answer))
    }

    /// Says what ad-hoc SQL would cost and what would become of it, without running it.
    ///
    /// # Errors
    /// See [`QueryError`]; never [`QueryError::Guard`], which is an answer here.
    pub async fn explain(&self, text: &str, asker: &Asker) -> Result<Explanation, QueryError> {
        let tally = Tally::begin(&self.0.metrics, QuestionKind::Explain);
        tally.end_with(self.look(text, asker).await)
    }

    async fn look(&self, text: &str, asker: &Asker) -> Result<Explanation, QueryError> {
        let _begun = self.begin(asker)?;
        let Prepared { ask, estimate, .. } = self.prepare(text, asker).await?;
        let fingerprint = ask.fingerprint.clone();
        let mut place = self.0.gate.ask(&asker.token, ask);
        let (decision, refusal) = match place.said() {
            Some(Ok(_)) => (Decision::Admitted, None),
            None => (Decision::Waits, None),
            Some(Err(refusal)) => (Decision::Refused, Some(refusal)),
        };
        // It leaves as somebody who was never there: nothing ran that could be learned from.
        drop(place);
        let QueryConfig { read_rows_max, read_bytes_max, .. } = self.0.config;
        let read_bytes_max = read_bytes_max.0.as_u64();
        Ok(Explanation { fingerprint, estimate, read_rows_max, read_bytes_max, decision, refusal })
    }

    /// Before ClickHouse is asked anything about a text: looking at it costs too.
    fn begin(&self, asker: &Asker) -> Result<(Share, SemaphorePermit<'_>), QueryError> {
        let share = self.0.sql_shares.take(&asker.token)?;
        let full = || QueryError::Busy("too many questions are asked at once".to_owned());
        Ok((share, self.0.prepared.try_acquire().map_err(|_| full())?))
    }

    /// Everything before the gate: the fence, the fingerprint, the estimate.
    async fn prepare(&self, text: &str, asker: &Asker) -> Result<Prepared, QueryError> {
        let is_restricted = asker.subscription.is_some();
        let client = self.client(asker, "sql");
        let sql = sql_with_database(text, client.database());
        check_text(&sql, is_restricted, false)?;
        self.check_tables(&client, &sql, &[], is_restricted).await?;
        let fingerprint = sql_fingerprint(&normalise_sql(&sql)).to_string();
        let limit_trap = sql_facts(&sql).limit_trap;
        let mut ask = Ask { fingerprint, limit_trap, ..Ask::default() };
        let estimate = self.estimate(&client, &sql, &ask, is_restricted).await?;
        ask.estimated_rows = estimate.as_ref().map(|estimate| estimate.rows);
        Ok(Prepared { sql, ask, estimate, client })
    }

    /// A client that asks with the settings of `asker`.
    fn client(&self, asker: &Asker, endpoint: &str) -> ClickHouse {
        let comment = serde_json::json!({
            "app": "floodmark", "endpoint": endpoint, "token": &*asker.token, "subscription": asker.subscription.as_deref(),
        });
        let database = self.0.client.database();
        let settings = restriction::settings(database, asker.subscription.as_deref(), comment.to_string());
        // Texts are whole by then: what a literal or a comment of somebody's says is his.
        self.0.client.verbatim().with_settings(&settings)
    }

    /// Holds the tree that ClickHouse makes of the text against the lists.
    async fn check_tables(
        &self,
        client: &ClickHouse,
        sql: &str,
        values: &[(&str, &str)],
        is_restricted: bool,
    ) -> Result<(), QueryError> {
        let look = client.with_timeout(LOOK_TIMEOUT).with_settings(&[("max_result_rows", TREE_LINES_MAX.to_string())]);
        let failed = |error| QueryError::from_store(error, is_restricted);
        let tree: Vec<TreeLine> = look.fetch(&format!("EXPLAIN AST {sql}"), values).await.map_err(failed)?;
        let lines: Vec<String> = tree.into_iter().map(|line| line.explain).collect();
        let readable = Readable { database: client.database(), is_restricted };
        let bare = check_tree(&lines, readable)?;
        if bare.is_empty() {
            return Ok(());
        }
        // Names of WITH are names without a table. Asked without the asker's filters: it must see what there is.
        let there = self.sizes(&bare).await.map_err(QueryError::Storage)?;
        match there.first() {
            Some(table) => Err(FenceError::Table(table.name.clone()).into()),
            None => Ok(()),
        }
    }

    /// What ClickHouse says the text will read; absent where it cannot say in time.
    async fn estimate(
        &self,
        client: &ClickHouse,
        sql: &str,
        ask: &Ask,
        is_restricted: bool,
    ) -> Result<Option<Estimate>, QueryError> {
        let before = self.0.gate.before_estimate(ask);
        if before.is_refused {
            return Ok(None);
        }
        let look = client.with_timeout(LOOK_TIMEOUT).with_settings(&before.settings);
        let rows: Vec<EstimateRow> = match look.fetch(&format!("EXPLAIN ESTIMATE {sql}"), &[]).await {
            Ok(rows) => rows,
            Err(error) => {
                return match QueryError::from_store(error, is_restricted) {
                    // What stands in `IN (SELECT …)` is executed for it, and may be too much.
                    QueryError::Limit { .. } | QueryError::Storage(StoreError::TimedOut(_)) => Ok(None),
                    other => Err(other),
                };
            }
        };
        let tables: Vec<String> = rows.iter().map(|row| row.table.clone()).collect();
        let sizes = if tables.is_empty() { Vec::new() } else { self.sizes(&tables).await.unwrap_or_default() };
        Ok(Some(Estimate::of(&rows, &sizes, ask.limit_trap)))
    }

    /// Which of these names are tables of our database, and how large.
    async fn sizes(&self, names: &[String]) -> Result<Vec<SizeRow>, StoreError> {
        let look = self.0.client.with_timeout(LOOK_TIMEOUT).with_settings(&[("readonly", "1".to_owned())]);
        let names = names.join(",");
        look.fetch(include_str!("../../queries/desk/table_sizes.sql"), &[("names", &names)]).await
    }
}

/// Counts a question that ended before there was an answer to pass on; the others are counted at their end.
fn counted<T>(result: Result<T, QueryError>, tally: Option<Tally>) -> Result<T, QueryError> {
    match tally {
        Some(tally) => tally.end_with(result),
        None => result,
    }
}

/// A named query that a restricted asker may not ask is not a mistake in its text.
fn about_rights(error: FenceError) -> FenceError {
    match error {
        FenceError::NotYours(_) => error,
        other => FenceError::NotYours(format!("this query is not for a token of one subscription: {other}")),
    }
}

pub(crate) async fn rows_of(answer: Answer) -> Result<Vec<Row>, QueryError> {
    let broken = |what: String| QueryError::Storage(StoreError::Protocol(what));
    let bytes = answer.collect().await.map_err(|error| broken(error.to_string()))?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| broken(error.to_string()))).collect()
}
