//! Queries whose clients have gone are ended, as are estimates that take too long: ClickHouse by itself lets most of them
//! run on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::gatekeeper::Gatekeeper;
use crate::guard::gate::{Ended, GateInput, QueryNumber};
use crate::guard::sql;
use crate::metrics::Metrics;
use crate::store::ClickHouse;

/// Queries waiting to be ended. At the bound further ones run on, and are counted; their caps still hold.
const WAITING_MAX: usize = 1_024;
/// Queries being ended at a time; further ones wait.
const ENDED_AT_ONCE_MAX: usize = 64;
/// Tries to end a query; with their pauses 6 s.
const TRIES_MAX: u32 = 7;
/// After so many looks a query that was never there has ended already, or never began.
const TRIES_UNSEEN_MAX: u32 = 3;
/// ClickHouse's exception code of a query that was killed.
const QUERY_WAS_CANCELLED: u32 = 394;
/// Pause between two tries; doubled each time.
const PAUSE: Duration = Duration::from_millis(50);

/// A query to be ended, and the claim on its id that goes with it.
#[derive(Debug)]
pub(super) struct Leaver {
    /// Absent for an estimate, which holds no slot.
    number: Option<QueryNumber>,
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

    /// Claims the id of a query that runs from now on, or of an estimate. Absent when one of the same user has it already:
    /// ClickHouse refuses the second, and its end must not end the first.
    pub(super) fn claim(&self, number: Option<QueryNumber>, user: &str, query_id: &str) -> Option<Leaver> {
        let id = (user.to_owned(), query_id.to_owned());
        let is_new = self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        is_new.then(|| Leaver { number, id, names: Arc::clone(&self.names) })
    }

    /// The client of the query has gone, or nobody waits for the estimate any more.
    pub(super) fn end(&self, leaver: Leaver) {
        let is_query = leaver.number.is_some();
        let is_taken = self.sender.try_send(leaver).is_ok();
        if is_query {
            self.metrics.add_guard_end_of_left(is_taken);
        }
    }
}

impl Drop for Leaver {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Ends queries on the guard's own connection, until it is told to stop.
pub(super) async fn run(
    client: ClickHouse,
    gatekeeper: Arc<Gatekeeper>,
    mut leavers: mpsc::Receiver<Leaver>,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(ENDED_AT_ONCE_MAX));
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        // Nobody closes the semaphore.
        let Ok(permit) = permit else { return };
        let leaver = tokio::select! {
            () = stop.cancelled() => return,
            leaver = leavers.recv() => leaver,
        };
        let Some(leaver) = leaver else { return };
        let (client, gatekeeper) = (client.clone(), Arc::clone(&gatekeeper));
        tokio::spawn(async move {
            let _permit = permit;
            let has_ended = end(&client, &leaver).await;
            if let Some(number) = leaver.number.filter(|_| has_ended) {
                // Until then its slot was taken: what a client leaves behind still works.
                let ended = Ended { exception_code: Some(QUERY_WAS_CANCELLED), ..Ended::default() };
                gatekeeper.tell(GateInput::Ended(number, ended));
            }
        });
    }
}

/// Whether the query has ended. KILL is only a flag, and ClickHouse may not have begun the query yet: so it is sent until
/// there is no such query any more.
async fn end(client: &ClickHouse, leaver: &Leaver) -> bool {
    let (user, query_id) = &leaver.id;
    let mut was_there = false;
    for attempt in 0..TRIES_MAX {
        match client.fetch::<KillRow>(sql::KILL_LEFT, &[("query_id", query_id), ("user", user)]).await {
            Ok(rows) if rows.is_empty() && (was_there || attempt >= TRIES_UNSEEN_MAX) => {
                tracing::debug!(query_id, user, "a query that nobody waits for has ended");
                return true;
            }
            Ok(rows) => was_there |= !rows.is_empty(),
            Err(error) => {
                let code = error.code();
                tracing::warn!(query_id, user, code, %error, "cannot end a query that nobody waits for");
            }
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    tracing::warn!(query_id, user, "a query that nobody waits for does not end");
    false
}
