//! The load of a trial: how many ask what, and how they behave when it fails.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::tally::{Share, Tally};
use crate::guard::sql;

/// Rows of the trial's table: 20 days of 400,000.
const ROWS: u64 = 8_000_000;
/// Rows seeded with one statement, so that seeding itself stays small.
const ROWS_A_SEED: u64 = 1_000_000;
/// Dashboards that are open.
const DASHBOARDS: u32 = 4;
/// Pause between two refreshes of one dashboard.
const DASHBOARD_PAUSE: Duration = Duration::from_millis(250);
/// Pause between two inserts.
const INSERT_PAUSE: Duration = Duration::from_millis(500);
/// Rows of an insert.
const INSERT_ROWS: u64 = 5_000;
/// Callers that ask for reports.
const REPORTS: u32 = 3;
/// Pause of a caller whose report failed: as good as none, like the release of the incident.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// No statement of the trial takes longer on a server that is well.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Header of an error: ClickHouse's number.
const EXCEPTION_CODE: &str = "x-clickhouse-exception-code";
/// Header of a refusal by the guard: its reason.
pub const REFUSED: &str = "x-floodmark-refused";

/// A statement of the trial failed.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No client can be made.
    #[error("no http client: {0}")]
    Client(#[from] reqwest::Error),
    /// The guard turned it away.
    #[error("refused by the guard")]
    Refused,
    /// No answer.
    #[error("no answer from clickhouse: {0}")]
    Lost(String),
    /// ClickHouse's number and message.
    #[error("clickhouse refused: {1}")]
    Code(u32, String),
}

/// A user and its password.
#[derive(Clone)]
pub struct Account {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({}, redacted)", self.user)
    }
}

/// Where the trial's statements go, and as whom.
#[derive(Debug, Clone)]
pub struct Access {
    /// HTTP interface: the server's, or the guard's in front of it.
    pub url: String,
    /// Who shows dashboards.
    pub dashboards: Account,
    /// Who inserts.
    pub inserts: Account,
    /// Who asks for reports.
    pub reports: Account,
}

/// How long, and with what.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// How long it goes on.
    pub duration: Duration,
    /// Whether the bad release is out.
    pub reports: bool,
}

/// Makes and fills the trial's table.
///
/// # Errors
/// What ClickHouse answered.
pub async fn prepare(url: &str, account: &Account) -> Result<(), TrialError> {
    let client = client()?;
    for (sql, parameters) in [("CREATE DATABASE IF NOT EXISTS trial", vec![]), (sql::TRIAL_TABLE, vec![])] {
        send(&client, url, account, sql, &parameters).await?;
    }
    for first in (0..ROWS).step_by(ROWS_A_SEED as usize) {
        let parameters = vec![("param_first", first.to_string()), ("param_rows", ROWS_A_SEED.to_string())];
        send(&client, url, account, sql::TRIAL_SEED, &parameters).await?;
    }
    Ok(())
}

/// The load, running.
#[derive(Debug)]
pub struct Load {
    workers: JoinSet<(Kind, Share)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Dashboard,
    Insert,
    Report,
}

impl Load {
    /// Starts it.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn start(access: &Access, options: LoadOptions) -> Result<Self, TrialError> {
        let client = client()?;
        let end = Instant::now() + options.duration;
        let mut workers = JoinSet::new();
        let mut spawn = |kind, number, account: &Account| {
            let (client, url, account) = (client.clone(), access.url.clone(), account.clone());
            workers.spawn(async move { (kind, work(kind, number, &client, &url, &account, end).await) });
        };
        for number in 0..DASHBOARDS {
            spawn(Kind::Dashboard, number, &access.dashboards);
        }
        spawn(Kind::Insert, 0, &access.inserts);
        for number in 0..if options.reports { REPORTS } else { 0 } {
            spawn(Kind::Report, number, &access.reports);
        }
        Ok(Self { workers })
    }

    /// Waits for its end, and says what became of it.
    pub async fn end(mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(done) = self.workers.join_next().await {
            // A worker that panicked has nothing to say.
            let Ok((kind, share)) = done else { continue };
            match kind {
                Kind::Dashboard => tally.dashboards.add(share),
                Kind::Insert => tally.inserts.add(share),
                Kind::Report => tally.reports.add(share),
            }
        }
        tally
    }
}

/// A client without certificates: the trial speaks to loopback only.
fn client() -> Result<Client, TrialError> {
    // Already installed when somebody was first: the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build()?)
}

async fn work(kind: Kind, number: u32, client: &Client, url: &str, account: &Account, end: Instant) -> Share {
    let mut share = Share::default();
    let mut turn = number;
    while Instant::now() < end {
        let (sql, parameters) = statement(kind, turn);
        let began = Instant::now();
        let answer = send(client, url, account, sql, &parameters).await;
        let pause = match (&answer, kind) {
            (_, Kind::Dashboard) => DASHBOARD_PAUSE,
            (_, Kind::Insert) => INSERT_PAUSE,
            (_, Kind::Report) => RETRY_PAUSE,
        };
        match answer {
            Ok(()) => share.succeed(began.elapsed()),
            Err(TrialError::Refused) => share.refuse(),
            Err(TrialError::Code(code, _)) => share.fail(code),
            Err(_) => share.fail(0),
        }
        turn = turn.wrapping_add(7);
        tokio::time::sleep(pause).await;
    }
    share
}

fn statement(kind: Kind, turn: u32) -> (&'static str, Vec<(&'static str, String)>) {
    let comment = |version: &str, feature: &str| {
        ("log_comment", format!(r#"{{"service":"reports","version":"{version}","feature":"{feature}"}}"#))
    };
    match kind {
        Kind::Dashboard => {
            let customer = ("param_customer", (turn.wrapping_mul(37) % 5_000).to_string());
            (sql::TRIAL_DASHBOARD, vec![customer, comment("1.9.0", "traffic-panel")])
        }
        Kind::Insert => (sql::TRIAL_INSERT, vec![("param_rows", INSERT_ROWS.to_string()), comment("1.9.0", "events")]),
        Kind::Report => {
            let since = ("param_since", format!("2026-05-{:02}", 1 + turn % 3));
            let sql = if turn.is_multiple_of(2) { sql::TRIAL_REPORT_SESSIONS } else { sql::TRIAL_REPORT_PAYLOADS };
            (sql, vec![since, comment("2.0.0", "session-report")])
        }
    }
}

async fn send(
    client: &Client,
    url: &str,
    account: &Account,
    sql: &str,
    parameters: &[(&'static str, String)],
) -> Result<(), TrialError> {
    let lost = |error: reqwest::Error| TrialError::Lost(error.to_string());
    let mut target = reqwest::Url::parse(url).map_err(|error| TrialError::Lost(error.to_string()))?;
    target.query_pairs_mut().extend_pairs(parameters).append_pair("wait_end_of_query", "1");
    let request = client
        .post(target)
        .header("X-ClickHouse-User", &account.user)
        .header("X-ClickHouse-Key", &account.password)
        .body(sql.to_owned());
    let answer = request.send().await.map_err(lost)?;
    if answer.headers().contains_key(REFUSED) {
        return Err(TrialError::Refused);
    }
    let status = answer.status();
    let code = answer.headers().get(EXCEPTION_CODE).and_then(|code| code.to_str().ok()?.parse().ok()).unwrap_or(0);
    let text = answer.text().await.map_err(lost)?;
    if status == StatusCode::OK && code == 0 { Ok(()) } else { Err(TrialError::Code(code, text)) }
}
