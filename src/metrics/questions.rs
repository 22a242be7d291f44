//! Metrics of the desk: questions of people and programs to the stored tables.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use super::labels::label_as_str;
use super::register::plain;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    /// A named query or a curve.
    Named,
    /// SQL of somebody's own.
    Sql,
    /// What such SQL would cost.
    Explain,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuestionOutcome {
    /// All of its answer was passed on.
    Answered,
    /// Its text says what may not be said.
    RefusedByFence,
    /// The guard's gate did not let it run.
    RefusedByGate,
    /// There was no place for it.
    RefusedByPlaces,
    /// It ran into a limit on the way.
    Limit,
    /// ClickHouse does not understand it, it failed on its data, or ClickHouse is away.
    Failed,
    /// Whoever asked has left before its end.
    Left,
}

impl QuestionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Named, Self::Sql, Self::Explain];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Sql => "sql",
            Self::Explain => "explain",
        }
    }
}

impl QuestionOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::RefusedByFence,
        Self::RefusedByGate,
        Self::RefusedByPlaces,
        Self::Limit,
        Self::Failed,
        Self::Left,
    ];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::RefusedByFence => "refused_by_fence",
            Self::RefusedByGate => "refused_by_gate",
            Self::RefusedByPlaces => "refused_by_places",
            Self::Limit => "limit",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: QuestionKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuestionLabels {
    kind: QuestionKind,
    outcome: QuestionOutcome,
}

label_as_str!(QuestionKind, QuestionOutcome);

/// The series.
#[derive(Debug, Default)]
pub(super) struct QuestionSeries {
    questions: Family<QuestionLabels, Counter>,
    under_way: Family<KindLabels, Gauge>,
    waiting: Gauge,
    answered: Family<KindLabels, Counter>,
}

impl QuestionSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        plain(registry, "questions", "Questions to the stored tables, by what became of them", &self.questions);
        plain(registry, "questions_under_way", "Questions that are looked at, wait or are answered", &self.under_way);
        plain(registry, "questions_waiting", "Questions of SQL that wait for a place", &self.waiting);
        registry.register_with_unit("answers", "Bytes of answers passed on", Unit::Bytes, self.answered.clone());
    }

    pub(super) fn start_at_zero(&self) {
        for kind in QuestionKind::ALL {
            let _ = self.under_way.get_or_create(&KindLabels { kind });
            let _ = self.answered.get_or_create(&KindLabels { kind });
            for outcome in QuestionOutcome::ALL {
                let _ = self.questions.get_or_create(&QuestionLabels { kind, outcome });
            }
        }
    }
}

impl Metrics {
    /// A question comes.
    pub fn begin_question(&self, kind: QuestionKind) {
        self.series.questions.under_way.get_or_create(&KindLabels { kind }).inc();
    }

    /// It has ended.
    pub fn end_question(&self, kind: QuestionKind, outcome: QuestionOutcome) {
        self.series.questions.under_way.get_or_create(&KindLabels { kind }).dec();
        self.series.questions.questions.get_or_create(&QuestionLabels { kind, outcome }).inc();
    }

    /// One more question waits for a place, or one fewer.
    pub fn move_questions_waiting(&self, by: i64) {
        self.series.questions.waiting.inc_by(by);
    }

    /// Counts a piece of an answer.
    pub fn add_answer_bytes(&self, kind: QuestionKind, bytes: usize) {
        self.series.questions.answered.get_or_create(&KindLabels { kind }).inc_by(bytes as u64);
    }
}
