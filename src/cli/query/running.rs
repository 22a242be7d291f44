//! A question on its way: asked at the desk, watched while it runs, ended on the server when somebody presses Ctrl-C.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::{Args, EXIT_INTERRUPTED, Question, answer, explain};
use crate::cli::CliError;
use crate::cli::ledger::access::Access;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::query::{Answer, Asker, QueryDesk, QueryError};
use crate::store::ClickHouse;

/// ClickHouse has to say something within this; the desk has limits of its own for questions.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A question that is answered by then needs no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// How often the server is asked how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// A query whose client has gone ends within this, else it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// How far a query is, as the server sees it. The questions are told apart by their comment.
const LOOK: &str = "\
SELECT read_rows, total_rows_approx, memory_usage, query_id FROM system.processes
WHERE position(Settings['log_comment'], {mark:String}) > 0";
const KILL: &str = "KILL QUERY WHERE query_id = '{query_id}' ASYNC";

#[derive(Debug, Deserialize)]
struct Look {
    read_rows: u64,
    total_rows_approx: u64,
    memory_usage: i64,
    query_id: String,
}

/// Whoever asks, and a second connection to look at what the question does.
pub(super) struct Asking {
    pub(super) desk: QueryDesk,
    pub(super) asker: Asker,
    pub(super) clickhouse: ClickHouse,
    mark: String,
}

/// Asks and writes the answer.
pub(super) async fn run(args: &Args, question: &Question, config: &Config) -> Result<ExitCode, CliError> {
    let access = Access::open(config, TIMEOUT).await?;
    let access = access.ok_or_else(|| anyhow!("nothing was stored yet: there is nothing to ask"))?;
    let asking = asking(config, &access)?;
    let outcome = tokio::select! {
        done = ask(args, question, &asking) => done.map(|()| ExitCode::SUCCESS),
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("cannot hear signals")?;
            Ok(ExitCode::from(EXIT_INTERRUPTED))
        }
    };
    // The answer is dropped by now, and with it the connection, on which ClickHouse ends the query.
    if matches!(&outcome, Ok(code) if *code == ExitCode::from(EXIT_INTERRUPTED)) {
        eprintln!("{}", end_on_server(&asking).await);
    }
    access.close().await?;
    Ok(outcome?)
}

fn asking(config: &Config, access: &Access) -> Result<Asking, CliError> {
    let mark = format!("command-line-{}", crate::local::random_password().context("no random numbers")?);
    Ok(Asking {
        desk: QueryDesk::new(&access.desk, &config.query, &Arc::new(Metrics::new())),
        asker: Asker { token: Arc::from(mark.as_str()), subscription: None },
        clickhouse: ClickHouse::new(&access.desk),
        mark,
    })
}

async fn ask(args: &Args, question: &Question, asking: &Asking) -> anyhow::Result<()> {
    if args.explain {
        return explain::run(args, question, asking).await;
    }
    let bar = bar();
    let watched = watch(asking, &bar);
    let answered = async {
        let answer = begin(args, question, asking).await.map_err(told)?;
        answer::write(args, question, answer, &bar).await
    };
    let answered = tokio::select! {
        answered = answered => answered,
        () = watched => Err(anyhow!("the watch on the query ended")),
    };
    bar.finish_and_clear();
    answered
}

async fn begin(args: &Args, question: &Question, asking: &Asking) -> Result<Answer, QueryError> {
    let format = if args.chart { crate::query::ResultFormat::Ndjson } else { args.output.format() };
    match question {
        Question::Named(bound) => asking.desk.named(bound, &asking.asker, format).await,
        Question::Sql(text) => asking.desk.sql(text, &asking.asker, format).await.map(|(_, answer)| answer),
    }
}

/// A refusal with what it would have cost.
pub(super) fn told(error: QueryError) -> anyhow::Error {
    match error {
        QueryError::Guard { refusal, estimate } => {
            let cost = estimate.map(|estimate| format!(" (it would read {} rows)", estimate.rows)).unwrap_or_default();
            anyhow!("refused: {refusal}{cost}")
        }
        QueryError::Fence(error) => anyhow!("refused: {error}"),
        QueryError::Limit { what, .. } => anyhow!("stopped: {what}: narrow the range of time, or ask for less"),
        other => anyhow!(other.to_string()),
    }
}

/// A bar on stderr, hidden where that is no terminal.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows  {msg}  {elapsed}");
    // The template is a constant; should it ever not parse, the plain bar does as well.
    let bar = ProgressBar::new(0);
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}

/// Shows how far the query is, and never ends. Who may not look at the server's processes sees no bar.
async fn watch(asking: &Asking, bar: &ProgressBar) {
    if bar.is_hidden() {
        return std::future::pending().await;
    }
    tokio::time::sleep(BAR_AFTER).await;
    loop {
        if let Some(look) = look(asking).await.first() {
            bar.set_length(look.total_rows_approx.max(look.read_rows));
            bar.set_position(look.read_rows);
            bar.set_message(format!("{} MiB", look.memory_usage.max(0) >> 20));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

async fn look(asking: &Asking) -> Vec<Look> {
    let looked = tokio::time::timeout(ENDED_WITHIN, asking.clickhouse.fetch(LOOK, &[("mark", &asking.mark)])).await;
    looked.ok().and_then(Result::ok).unwrap_or_default()
}

/// Sees to it that the query ends; says how.
async fn end_on_server(asking: &Asking) -> &'static str {
    let deadline = tokio::time::Instant::now() + ENDED_WITHIN;
    let mut running = look(asking).await;
    while !running.is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_INTERVAL / 5).await;
        running = look(asking).await;
    }
    for look in &running {
        // The identity is the server's own, hexadecimal digits and hyphens.
        let is_plain = look.query_id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_plain {
            // What it says is seen by looking again.
            let _ = asking.clickhouse.execute(&KILL.replace("{query_id}", &look.query_id)).await;
        }
    }
    if running.is_empty() {
        "interrupted: the query is over on the server"
    } else {
        "interrupted: the query was killed"
    }
}
