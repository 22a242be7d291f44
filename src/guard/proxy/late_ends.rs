//! What answers did not tell: what a long one took, which is counted in its head and goes on behind it, and of which
//! exception an encoded one broke off. The server's query log says it some seconds later, and the gate hears it then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::estimates::{Estimates, ScanKey};
use super::gatekeeper::Gatekeeper;
use crate::guard::gate::{Ended, GateInput, QueryNumber};
use crate::guard::sql;
use crate::store::ClickHouse;

/// Ends that wait to be looked up. At the bound further ones are judged by what was known.
const WAITING_MAX: usize = 1_024;
/// Ends that are looked up at a time: their ids have to fit into an address.
const ENDS_PER_LOOK_MAX: usize = 64;
/// How often the query log is looked at, when there is something to look for. ClickHouse writes it every 7.5 s.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Looks for an end that is not there; a little later the gate judges it by what it knows.
const LOOKS_MAX: u32 = 8;
/// An end is in the log no longer than this before it is heard here; and the servers' clocks differ.
const BEFORE_SECONDS: u64 = 60;
/// Between ids.
const ID_SEPARATOR: &str = "\u{1f}";

/// An end of which more is to be told.
#[derive(Debug, Clone)]
pub(super) struct LateEnd {
    /// The query.
    pub(super) number: QueryNumber,
    /// Its ClickHouse user.
    pub(super) user: String,
    /// ClickHouse's id of the run.
    pub(super) query_id: String,
    /// By what its reading is learned.
    pub(super) scan: Option<ScanKey>,
}

#[derive(Debug)]
struct Waiting {
    end: LateEnd,
    since: Instant,
    looks: u32,
}

/// Where ends are told that have to be looked up.
#[derive(Debug)]
pub(super) struct LateEnds(mpsc::Sender<LateEnd>);

#[derive(Debug, Deserialize)]
struct EndRow {
    query_id: String,
    user: String,
    code: u32,
    message: String,
    memory_bytes: u64,
    rows: u64,
    bytes: u64,
}

impl LateEnds {
    pub(super) fn new() -> (Self, mpsc::Receiver<LateEnd>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// This one is to be looked up, if there is room.
    pub(super) fn look_up(&self, end: LateEnd) {
        if self.0.try_send(end).is_err() {
            tracing::debug!("too many ends to look up; the gate judges by what it knows");
        }
    }
}

/// Looks ends up on the guard's own connection, until it is told to stop.
pub(super) async fn run(
    client: ClickHouse,
    gatekeeper: Arc<Gatekeeper>,
    estimates: Arc<Estimates>,
    mut ends: mpsc::Receiver<LateEnd>,
    stop: CancellationToken,
) {
    let mut waiting = VecDeque::new();
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        // What is just here is in the log at the next look.
        let known = waiting.len();
        while waiting.len() < WAITING_MAX
            && let Ok(end) = ends.try_recv()
        {
            waiting.push_back(Waiting { end, since: Instant::now(), looks: 0 });
        }
        for _ in 0..known.div_ceil(ENDS_PER_LOOK_MAX) {
            let due = waiting.drain(..waiting.len().min(ENDS_PER_LOOK_MAX).min(known)).collect();
            let missing = look(&client, due, &gatekeeper, &estimates).await;
            waiting.extend(missing);
        }
    }
}

/// Looks once; those that are not there and may still come.
async fn look(
    client: &ClickHouse,
    mut due: Vec<Waiting>,
    gatekeeper: &Gatekeeper,
    estimates: &Estimates,
) -> Vec<Waiting> {
    let ids: Vec<&str> = due.iter().map(|one| one.end.query_id.as_str()).collect();
    let oldest = due.iter().map(|one| one.since.elapsed().as_secs()).max().unwrap_or(0);
    let (ids, seconds) = (ids.join(ID_SEPARATOR), (oldest + BEFORE_SECONDS).to_string());
    match client.fetch::<EndRow>(sql::ENDS_TOLD, &[("ids", &ids), ("seconds", &seconds)]).await {
        Ok(rows) => {
            let mut rows: HashMap<(String, String), EndRow> =
                rows.into_iter().map(|row| ((row.user.clone(), row.query_id.clone()), row)).collect();
            due.retain(|one| {
                let row = rows.remove(&(one.end.user.clone(), one.end.query_id.clone()));
                let is_missing = row.is_none();
                row.into_iter().for_each(|row| tell(&one.end, row, gatekeeper, estimates));
                is_missing
            });
        }
        Err(error) => tracing::debug!(code = error.code(), %error, "the query log cannot tell how runs ended"),
    }
    due.iter_mut().for_each(|one| one.looks += 1);
    due.retain(|one| one.looks < LOOKS_MAX);
    due
}

fn tell(end: &LateEnd, row: EndRow, gatekeeper: &Gatekeeper, estimates: &Estimates) {
    let has_failed = row.code != 0;
    match end.scan {
        Some(scan) if has_failed => estimates.forget(&scan),
        Some(scan) => estimates.learn(scan, row.rows),
        None => {}
    }
    let told = Ended {
        exception_code: has_failed.then_some(row.code),
        exception: has_failed.then_some(row.message),
        memory_bytes: Some(row.memory_bytes).filter(|bytes| *bytes > 0),
        read_rows: Some(row.rows),
        read_bytes: Some(row.bytes),
        ..Ended::default()
    };
    gatekeeper.tell(GateInput::EndTold(end.number, told));
}
