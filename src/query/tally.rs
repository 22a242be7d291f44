//! What the desk counts of a question: when it comes, whether it waits, what it is answered, what becomes of it.

use std::sync::Arc;

use super::error::QueryError;
use crate::metrics::{Metrics, QuestionKind, QuestionOutcome};
use crate::store::StoreError;

/// A question that is counted as under way. Dropped without an end: whoever asked has left.
#[derive(Debug)]
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    kind: QuestionKind,
    outcome: QuestionOutcome,
}

/// Counted as waiting until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Metrics>);

impl Tally {
    pub(super) fn begin(metrics: &Arc<Metrics>, kind: QuestionKind) -> Self {
        metrics.begin_question(kind);
        Self { metrics: Arc::clone(metrics), kind, outcome: QuestionOutcome::Left }
    }

    /// It waits for a place.
    pub(super) fn waits(&self) -> Waiting {
        self.metrics.move_questions_waiting(1);
        Waiting(Arc::clone(&self.metrics))
    }

    /// A piece of its answer was passed on.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.metrics.add_answer_bytes(self.kind, bytes);
    }

    /// What became of it.
    pub(super) fn end(&mut self, error: Option<&QueryError>) {
        self.outcome = error.map_or(QuestionOutcome::Answered, outcome);
    }

    /// The same, for what ends with a result.
    pub(super) fn end_with<T>(mut self, result: Result<T, QueryError>) -> Result<T, QueryError> {
        self.end(result.as_ref().err());
        result
    }
}

/// By the error alone.
fn outcome(error: &QueryError) -> QuestionOutcome {
    match error {
        QueryError::Fence(_) => QuestionOutcome::RefusedByFence,
        QueryError::Guard { .. } => QuestionOutcome::RefusedByGate,
        QueryError::Busy(_) => QuestionOutcome::RefusedByPlaces,
        // Its time is up, whether ClickHouse says so or its reader is too slow.
        QueryError::Limit { .. } | QueryError::Storage(StoreError::TimedOut(_)) => QuestionOutcome::Limit,
        QueryError::Sql { .. } | QueryError::Storage(_) => QuestionOutcome::Failed,
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.metrics.end_question(self.kind, self.outcome);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.move_questions_waiting(-1);
    }
}
