//! Queries whose clients have gone are ended: ClickHouse by itself lets most of them run on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::guard::sql;
use crate::metrics::Metrics;
use crate::store::ClickHouse;

/// Queries waiting to be ended. At the bound further ones run on, and are counted; their caps still hold.
const WAITING_MAX: usize = 1_024;
/// Tries until ClickHouse knows the query: it may not have begun it yet.
const TRIES_MAX: u32 = 5;
/// Pause between two tries; doubled each time.
const PAUSE: Duration = Duration::from_millis(50);

/// A query to be ended, and the claim on its id that goes with it.
#[derive(Debug)]
pub(super) struct Leaver {
    id: (String, String),
    names: Arc<Mutex<HashSet<(String, String)>>>,
}

/// Where queries of gone clients are told.
#[derive(Debug)]
pub(super) struct Leavers {
    sender: mpsc::Sender<Leaver>,
    names: Arc<Mutex<HashSet<(String, String)>>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Deserialize)]
struct KillRow {}

impl Leavers {
    pub(super) fn new(metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Leaver>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { sender, names: Arc::default(), metrics }, receiver)
    }

    /// Claims the id of a query that runs from now on. Absent when one of the same user has it already: ClickHouse refuses
    /// the second, and its end must not end the first.
    pub(super) fn claim(&self, user: &str, query_id: &str) -> Option<Leaver> {
        let id = (user.to_owned(), query_id.to_owned());
        let is_new = self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        is_new.then(|| Leaver { id, names: Arc::clone(&self.names) })
    }

    /// The client of the query has gone.
    pub(super) fn end(&self, leaver: Leaver) {
        let is_taken = self.sender.try_send(leaver).is_ok();
        self.metrics.add_guard_end_of_left(is_taken);
    }
}

impl Drop for Leaver {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Ends queries on the guard's own connection, until it is told to stop.
pub(super) async fn run(client: ClickHouse, mut leavers: mpsc::Receiver<Leaver>, stop: CancellationToken) {
    loop {
        let leaver = tokio::select! {
            () = stop.cancelled() => return,
            leaver = leavers.recv() => leaver,
        };
        let Some(leaver) = leaver else { return };
        let client = client.clone();
        // As many at a time as wait at most.
        tokio::spawn(async move { end(&client, &leaver).await });
    }
}

async fn end(client: &ClickHouse, leaver: &Leaver) {
    let (user, query_id) = &leaver.id;
    for attempt in 0..TRIES_MAX {
        match client.fetch::<KillRow>(sql::KILL_LEFT, &[("query_id", query_id), ("user", user)]).await {
            Ok(rows) if rows.is_empty() => tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await,
            Ok(_) => {
                tracing::debug!(query_id, user, "ended the query of a client that has gone");
                return;
            }
            Err(error) => {
                tracing::warn!(query_id, user, code = error.code(), %error, "cannot end the query of a client that has gone");
                return;
            }
        }
    }
}
