//! Incidents that memory does not know (any more), and drafts of post-mortems: from memory where it knows, else from
//! ClickHouse. `GET /api/v1/incidents/{id}/postmortem.md`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, watch};

use super::problem::{Problem, ProblemCode};
use super::{View, query};
use crate::clock;
use crate::model::{BudgetClass, Timestamp};
use crate::postmortem::{Dossier, Files, IncidentRecord, markdown};
use crate::store::{ClickHouse, StoreError, incident_alerts, incident_history, incident_records};

/// What paths of drafts end with.
const FILE: &str = "/postmortem.md";
/// Looks at ClickHouse at once; each is three short questions.
const LOOKS_MAX: usize = 2;
/// One who waits longer for a look is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest identity that is looked up.
const ID_BYTES_MAX: usize = 256;
/// ClickHouse's codes for a table and a database that are not there: nothing was ever stored.
const NOTHING_THERE: [&str; 2] = ["unknown_table", "unknown_database"];
const ABSENT: &str = "no incident with this id is known here or stored";

/// Where incidents are that memory does not know.
#[derive(Debug, Clone)]
pub(super) struct IncidentHistory {
    view: watch::Receiver<Arc<View>>,
    /// Absent where nothing is stored.
    clickhouse: Option<ClickHouse>,
    looks: Arc<Semaphore>,
}

impl IncidentHistory {
    /// What memory shows, and a client that may read; its questions have the limits of those that somebody waits for.
    pub(super) fn new(view: watch::Receiver<Arc<View>>, clickhouse: Option<&ClickHouse>) -> Self {
        let clickhouse = clickhouse.map(|clickhouse| clickhouse.limited(&BudgetClass::Interactive.limits()));
        Self { view, clickhouse, looks: Arc::new(Semaphore::new(LOOKS_MAX)) }
    }

    /// The stored report of an incident.
    ///
    /// # Errors
    /// ClickHouse is away, or too many look.
    pub(super) async fn stored(&self, id: &str) -> Result<Option<IncidentRecord>, Problem> {
        let Some(clickhouse) = self.clickhouse.as_ref().filter(|_| id.len() <= ID_BYTES_MAX) else { return Ok(None) };
        let _look = self.look().await?;
        let ever = (Timestamp::MIN, Timestamp::MAX);
        match incident_records(clickhouse, ever, id, 1).await {
            // An empty identity would be that of all.
            Ok(mut records) => Ok(records.pop().filter(|record| record.incident == id)),
            Err(error @ StoreError::Refused { .. }) if NOTHING_THERE.contains(&error.code()) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// The draft of an incident's post-mortem; absent when nobody knows the incident. Without history it says so.
    ///
    /// # Errors
    /// Only ClickHouse may know the incident, and is away; or too many look.
    pub(super) async fn draft(&self, id: &str) -> Result<Option<String>, Problem> {
        let view = self.view.borrow().clone();
        let (record, note) = match view.incident(id) {
            Some(report) => (IncidentRecord::from(report), None),
            None => match self.stored(id).await? {
                Some(record) => {
                    (record, Some("The report is from ClickHouse: this process does not know the incident."))
                }
                None => return Ok(None),
            },
        };
        let mut dossier = Dossier::new(record, Vec::new(), Some(view.watermark.unwrap_or_else(clock::now)));
        dossier.notes.extend(note.map(str::to_owned));
        self.add_history(&mut dossier).await?;
        Ok(Some(markdown(&dossier, &Files::default())))
    }

    /// Adds what is stored around it; where it cannot be had, says so in a note.
    async fn add_history(&self, dossier: &mut Dossier) -> Result<(), Problem> {
        let Some(clickhouse) = &self.clickhouse else { return Ok(()) };
        let _look = self.look().await?;
        let stretch = (dossier.span.from, dossier.span.until);
        let asked = async {
            let alerts = incident_alerts(clickhouse, &dossier.record.incident, stretch).await?;
            Ok::<_, StoreError>((alerts, incident_history(clickhouse, dossier.span, &dossier.selection).await?))
        };
        match asked.await {
            Ok((alerts, history)) => {
                dossier.alerts = alerts;
                if history.points.is_empty() {
                    dossier.notes.push("Of the time around it no requests are stored (any more).".to_owned());
                } else {
                    dossier.history = Some(history);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the history of an incident cannot be read");
                dossier.notes.push(format!("History is away ({}).", error.code()));
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let busy = || {
            let detail = format!("{LOOKS_MAX} look at stored incidents already, which is the most");
            Problem::new(ProblemCode::Overloaded, detail).retry_after(Duration::from_secs(1))
        };
        // The semaphore is never closed.
        match tokio::time::timeout(WAIT_MAX, self.looks.acquire()).await {
            Ok(Ok(look)) => Ok(look),
            _ => Err(busy()),
        }
    }
}

fn away(error: &StoreError) -> Problem {
    tracing::warn!(%error, "a stored incident cannot be read");
    let detail = format!("incidents of before are in ClickHouse, which cannot be asked now ({})", error.code());
    Problem::new(ProblemCode::StorageAway, detail)
}

/// A draft as a file.
pub(super) fn file(draft: String) -> Response {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], draft).into_response()
}

/// The draft.
pub(super) async fn postmortem(
    State(history): State<IncidentHistory>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let absent = || Problem::new(ProblemCode::NotFound, ABSENT);
    let Path(id) = id.map_err(|_| absent())?;
    history.draft(&id).await?.map(file).ok_or_else(absent)
}

/// Whether this is the path of a draft.
pub(super) fn is_draft(path: &str) -> bool {
    path.starts_with("/api/v1/incidents/") && path.ends_with(FILE)
}
