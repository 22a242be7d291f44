//! Labels of our metrics: enums, numbers and names from the configuration, so the number of series is known beforehand.

use prometheus_client::encoding::EncodeLabelSet;

use super::GuardOutcome;
use crate::config::TopicsConfig;
use crate::guard::proxy::EstimateSource;
use crate::ingest::{HTTP_TOPIC, PROBES_TOPIC};
use crate::model::{AlertName, RejectionCode, Severity, TransitionEvent};

/// Where records come from: what a topic is for (its own name is configuration and no label), or another way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// Request logs.
    Requests,
    /// Signals.
    Signals,
    /// Changes.
    Changes,
    /// Over HTTP. With Kafka configured they are counted again when they are read from their topic.
    Http,
    /// Own probes, where there is no Kafka.
    Probes,
}

impl Input {
    /// Every input.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Signals, Self::Changes, Self::Http, Self::Probes];

    /// What `topic` is for; `None` when it is not one that is read.
    #[must_use]
    pub fn of(topics: &TopicsConfig, topic: &str) -> Option<Self> {
        let own = [(HTTP_TOPIC, Self::Http), (PROBES_TOPIC, Self::Probes)];
        let mut known = topics.inputs().into_iter().zip(Self::ALL).chain(own);
        known.find(|(name, _)| *name == topic).map(|(_, input)| input)
    }

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Signals => "signals",
            Self::Changes => "changes",
            Self::Http => "http",
            Self::Probes => "probes",
        }
    }
}

/// The bounded queues between tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Chunks waiting for detection.
    Detect,
    /// Batches waiting for ClickHouse.
    Store,
    /// Transitions waiting for ClickHouse.
    Transitions,
}

impl Queue {
    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Store => "store",
            Self::Transitions => "transitions",
        }
    }
}

/// What became of a request that brought records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntakeOutcome {
    /// Every record is safe.
    Accepted,
    /// Some records were refused, the others are safe.
    Partial,
    /// No record was taken, and sending it again changes nothing.
    Refused,
    /// The sender is to come back.
    UnderPressure,
}

impl IntakeOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Partial, Self::Refused, Self::UnderPressure];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::UnderPressure => "under_pressure",
        }
    }
}

/// What became of a record that did not come from Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntakeRecord {
    /// It is safe.
    Accepted,
    /// It was refused, and its sender told.
    Rejected,
    /// A probe found it, and there was no room to store it.
    Dropped,
}

impl IntakeRecord {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Rejected, Self::Dropped];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
        }
    }
}

/// Why something was not said of an alert or a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsaid {
    /// A silence.
    Silenced,
    /// An alert is told inside the page of its cause.
    Inhibited,
    /// An incident is told on a storm's page.
    Storm,
    /// The page flaps.
    Flapping,
}

impl Unsaid {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Silenced, Self::Inhibited, Self::Storm, Self::Flapping];

    /// Name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Storm => "storm",
            Self::Flapping => "flapping",
        }
    }
}

/// Kinds of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiverKind {
    /// A webhook.
    Webhook,
    /// An Alertmanager replica.
    Alertmanager,
    /// A Slack channel.
    Slack,
    /// A PagerDuty service.
    Pagerduty,
    /// A Kafka topic.
    Kafka,
    /// A dead man's switch.
    Heartbeat,
    /// A subscriber of the status page.
    Subscriber,
}

impl ReceiverKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Webhook,
        Self::Alertmanager,
        Self::Slack,
        Self::Pagerduty,
        Self::Kafka,
        Self::Heartbeat,
        Self::Subscriber,
    ];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Kafka => "kafka",
            Self::Heartbeat => "heartbeat",
            Self::Subscriber => "subscriber",
        }
    }
}

/// What became of a notification, or of one try to deliver it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationOutcome {
    /// The receiver has it.
    Delivered,
    /// A try failed and is repeated.
    Retried,
    /// The receiver refused it for good (a 3xx or 4xx that a repeat would not change).
    Refused,
    /// Given up: it could not be delivered in time.
    Expired,
    /// The receiver's outbox was full.
    Dropped,
}

impl NotificationOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Retried, Self::Refused, Self::Expired, Self::Dropped];

    /// Name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PageLabels {
    pub event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SeverityLabels {
    pub severity: Severity,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct UnsaidLabels {
    pub reason: Unsaid,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InputLabels {
    pub input: Input,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RejectionLabels {
    pub input: Input,
    pub code: RejectionCode,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct IntakeRequestLabels {
    pub outcome: IntakeOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct IntakeRecordLabels {
    pub outcome: IntakeRecord,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PartitionLabels {
    pub input: Input,
    pub partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AlertLabels {
    pub alert: AlertName,
    pub severity: Severity,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TransitionLabels {
    pub alert: AlertName,
    pub event: TransitionEvent,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NotificationLabels {
    pub receiver: ReceiverKind,
    pub outcome: NotificationOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReceiverLabels {
    pub receiver: ReceiverKind,
}

/// The code comes from an error's `code()`: a static text out of a bounded set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    pub code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueueLabels {
    pub queue: Queue,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BuildLabels {
    pub version: &'static str,
}

/// A probe by its kind and its name in the configuration: at most `PROBES_MAX` in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProbeLabels {
    pub kind: &'static str,
    pub probe: String,
}

/// A rule by the name of its alert: at most `CUSTOM_NAMES_MAX` in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RuleLabels {
    pub rule: AlertName,
}

/// Every enum is spelled in metrics as everywhere else, by its `as_str`.
macro_rules! label_as_str {
    ($($name:ty),+) => {$(
        impl prometheus_client::encoding::EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut prometheus_client::encoding::LabelValueEncoder,
            ) -> std::fmt::Result {
                prometheus_client::encoding::EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }
    )+};
}

pub(super) use label_as_str;

label_as_str!(Input, Queue, ReceiverKind, NotificationOutcome, RejectionCode, AlertName, Severity, TransitionEvent);
label_as_str!(IntakeOutcome, IntakeRecord, Unsaid);
label_as_str!(GuardOutcome, EstimateSource);
