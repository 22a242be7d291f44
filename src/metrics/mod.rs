//! Our own metrics: one typed struct, written as OpenMetrics text.
//!
//! Counters take deltas, once a chunk or a batch, never once an event. A subscription is never a label: the number of
//! series does not grow with the number of customers. Names carry base units, counters end in `_total`.

mod guard;
mod guard_watch;
mod labels;
mod paging;
mod questions;
mod register;
mod rule_evaluations;
mod status_page;

pub use guard::GuardOutcome;
pub use labels::{Input, IntakeOutcome, IntakeRecord, NotificationOutcome, Queue, ReceiverKind};
pub use questions::{QuestionKind, QuestionOutcome};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::{AlertName, Chunk, Offset, Partition, RejectionCode, Severity, Timestamp, Transition};
use labels::{
    AlertLabels, ErrorLabels, InputLabels, IntakeRecordLabels, IntakeRequestLabels, NotificationLabels,
    PartitionLabels, ProbeLabels, QueueLabels, ReceiverLabels, RejectionLabels, TransitionLabels,
};

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type GaugeF64 = Gauge<f64, AtomicU64>;

/// Every metric of the service. Cheap to update from any task; shared by `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    series: Series,
    /// Rules' own alerts that have fired: they are told as 0 afterwards, like all others. At most `CUSTOM_NAMES_MAX`.
    alerts_told: Mutex<BTreeSet<AlertName>>,
}

/// The series, apart from the registry that names them (see [`register`]).
#[derive(Debug, Default)]
struct Series {
    messages: Family<InputLabels, Counter>,
    input_bytes: Family<InputLabels, Counter>,
    events: Family<InputLabels, Counter>,
    rejections: Family<RejectionLabels, Counter>,
    dead_letters: Counter,
    intake_requests: Family<IntakeRequestLabels, Counter>,
    intake_records: Family<IntakeRecordLabels, Counter>,
    intake_pending: Gauge,
    lag: Family<PartitionLabels, Gauge>,
    partitions_elsewhere: Gauge,
    position: Family<PartitionLabels, Gauge>,
    level: Family<PartitionLabels, Gauge>,
    late: Counter,
    windows_closed: Counter,
    // A family of one, so that there is no series (and no age since 1970) before the first event.
    watermark: Family<[(&'static str, &'static str); 0], GaugeF64>,
    watermark_age: Family<[(&'static str, &'static str); 0], GaugeF64>,
    alerts_firing: Family<AlertLabels, Gauge>,
    incidents_open: Gauge,
    rules_reload_successful: Gauge,
    rules_reload_last_success: GaugeF64,
    transitions: Family<TransitionLabels, Counter>,
    outputs_not_stored: Counter,
    indistinct: Counter,
    messages_read_again: Counter,
    offsets_lost: Counter,
    notifications: Family<NotificationLabels, Counter>,
    notifications_waiting: Family<ReceiverLabels, Gauge>,
    notification_dead_letters: Family<ReceiverLabels, Counter>,
    outbox_failures: Counter,
    event_stream_readers: Gauge,
    event_stream_dropped: Counter,
    store_batches: Counter,
    store_rows: Counter,
    store_bytes: Counter,
    store_retries: Counter,
    store_errors: Family<ErrorLabels, Counter>,
    store_up: Gauge,
    clickhouse_restarts: Counter,
    queue_depth: Family<QueueLabels, Gauge>,
    queue_bound: Family<QueueLabels, Gauge>,
    probe_up: Family<ProbeLabels, Gauge>,
    probe_failures: Family<ProbeLabels, Counter>,
    probe_events: Family<ProbeLabels, Counter>,
    probe_events_dropped: Family<ProbeLabels, Counter>,
    guard: guard::GuardSeries,
    paging: paging::PagingSeries,
    guard_watch: guard_watch::WatchSeries,
    rule_evaluations: rule_evaluations::RuleEvaluationSeries,
    status_page: status_page::StatusPageSeries,
    questions: questions::QuestionSeries,
}

/// How a probe is doing, with its counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbeProgress {
    /// Whether the last look succeeded.
    pub up: bool,
    /// Looks that failed.
    pub failures: u64,
    /// Events sent.
    pub events: u64,
    /// Events dropped because detection did not keep up.
    pub events_dropped: u64,
}

/// Where reading of a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionProgress {
    /// Next offset to read.
    pub position: Offset,
    /// End of the partition (high watermark) as last told by the broker.
    pub end: Offset,
    /// Whether storage keeps up with reading; while it does not, it reads again later what it missed.
    pub level: bool,
}

/// What one insert into ClickHouse came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreDelta {
    /// Batches stored.
    pub batches: u64,
    /// Rows stored.
    pub rows: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Inserts repeated.
    pub retries: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All series with a known label set start at 0: an absent series and one at rest must not look the same.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("floodmark");
        let series = Series::default();
        register::register(&mut registry, &series);
        let metrics = Self { registry, series, alerts_told: Mutex::default() };
        metrics.start_at_zero();
        metrics
    }

    fn start_at_zero(&self) {
        let series = &self.series;
        for input in Input::ALL {
            let labels = InputLabels { input };
            for family in [&series.messages, &series.input_bytes, &series.events] {
                let _ = family.get_or_create(&labels);
            }
            for code in RejectionCode::ALL {
                let _ = series.rejections.get_or_create(&RejectionLabels { input, code });
            }
        }
        for outcome in IntakeOutcome::ALL {
            let _ = series.intake_requests.get_or_create(&IntakeRequestLabels { outcome });
        }
        for outcome in IntakeRecord::ALL {
            let _ = series.intake_records.get_or_create(&IntakeRecordLabels { outcome });
        }
        series.guard.start_at_zero();
        series.paging.start_at_zero();
        series.questions.start_at_zero();
        series.guard_watch.start_at_zero();
        self.set_alerts_firing([]);
        for receiver in ReceiverKind::ALL {
            let _ = series.notification_dead_letters.get_or_create(&ReceiverLabels { receiver });
            for outcome in NotificationOutcome::ALL {
                let _ = series.notifications.get_or_create(&NotificationLabels { receiver, outcome });
            }
        }
    }

    /// Counts a chunk that was read: messages, bytes, events and refusals.
    pub fn add_chunk(&self, input: Input, chunk: &Chunk) {
        let labels = InputLabels { input };
        self.series.messages.get_or_create(&labels).inc_by(chunk.messages);
        self.series.input_bytes.get_or_create(&labels).inc_by(chunk.bytes as u64);
        self.series.events.get_or_create(&labels).inc_by(chunk.events.len() as u64);
        for rejection in &chunk.rejections {
            self.add_rejections(input, &[(rejection.reason.code, 1)]);
        }
    }

    /// Counts refusals of records that are in no chunk.
    pub fn add_rejections(&self, input: Input, rejections: &[(RejectionCode, u64)]) {
        for (code, count) in rejections {
            self.series.rejections.get_or_create(&RejectionLabels { input, code: *code }).inc_by(*count);
        }
    }

    /// Counts a request that brought records.
    pub fn add_intake_request(&self, outcome: IntakeOutcome) {
        self.series.intake_requests.get_or_create(&IntakeRequestLabels { outcome }).inc();
    }

    /// Counts records that did not come from Kafka.
    pub fn add_intake_records(&self, outcome: IntakeRecord, records: u64) {
        self.series.intake_records.get_or_create(&IntakeRecordLabels { outcome }).inc_by(records);
    }

    /// Bytes of such records that are not safe yet.
    pub fn set_intake_pending(&self, bytes: usize) {
        self.series.intake_pending.set(gauge(bytes));
    }

    /// Counts records that the dead-letter topic has acknowledged. Which input they came from is in the records, and in
    /// the rejections.
    pub fn add_dead_letters(&self, records: u64) {
        self.series.dead_letters.inc_by(records);
    }

    /// Says where reading of an assigned partition stands.
    pub fn set_partition(&self, input: Input, partition: Partition, progress: PartitionProgress) {
        let labels = PartitionLabels { input, partition };
        self.series.position.get_or_create(&labels).set(progress.position);
        self.series.lag.get_or_create(&labels).set(progress.end.saturating_sub(progress.position).max(0));
        self.series.level.get_or_create(&labels).set(i64::from(progress.level));
    }

    /// Forgets a partition that was revoked: another instance reports it now.
    pub fn remove_partition(&self, input: Input, partition: Partition) {
        let labels = PartitionLabels { input, partition };
        for family in [&self.series.position, &self.series.lag, &self.series.level] {
            family.remove(&labels);
        }
    }

    /// Says how many partitions of the inputs another member of the consumer group reads.
    pub fn set_partitions_elsewhere(&self, partitions: usize) {
        self.series.partitions_elsewhere.set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// Counts events that came after their window was closed.
    pub fn add_late(&self, events: u64) {
        self.series.late.inc_by(events);
    }

    /// Counts closed windows.
    pub fn add_windows_closed(&self, windows: u64) {
        self.series.windows_closed.inc_by(windows);
    }

    /// Event time up to which everything is decided. Its age is worked out when the metrics are read.
    pub fn set_watermark(&self, watermark: Timestamp) {
        self.series.watermark.get_or_create(&[]).set(seconds(watermark.as_millis()));
    }

    /// Counts what a bound made indistinct: combinations, strings, keys or findings past `flow.*_max` and the like.
    pub fn add_indistinct(&self, count: u64) {
        self.series.indistinct.inc_by(count);
    }

    /// Counts transitions and reports that found no room on their way to ClickHouse.
    pub fn add_outputs_not_stored(&self, outputs: u64) {
        self.series.outputs_not_stored.inc_by(outputs);
    }

    /// Counts messages read a second time, for storage only, and offsets that retention removed before that.
    pub fn add_second_reads(&self, messages: u64, offsets_lost: u64) {
        self.series.messages_read_again.inc_by(messages);
        self.series.offsets_lost.inc_by(offsets_lost);
    }

    /// Counts a transition.
    pub fn add_transition(&self, transition: &Transition) {
        let labels = TransitionLabels { alert: transition.alert, event: transition.event };
        self.series.transitions.get_or_create(&labels).inc();
    }

    /// Says which alerts are firing now; those not named are at 0. A rule's own alert has series from its first firing on.
    pub fn set_alerts_firing(&self, firing: impl IntoIterator<Item = (AlertName, Severity)>) {
        let mut told = self.alerts_told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<AlertName, [i64; Severity::ALL.len()]> =
            AlertName::ALL.into_iter().chain(told.iter().copied()).map(|alert| (alert, Default::default())).collect();
        for (alert, severity) in firing {
            counts.entry(alert).or_default()[severity as usize] += 1;
        }
        for (alert, by_severity) in counts {
            if alert.is_custom() {
                told.insert(alert);
            }
            for (severity, count) in Severity::ALL.into_iter().zip(by_severity) {
                self.series.alerts_firing.get_or_create(&AlertLabels { alert, severity }).set(count);
            }
        }
    }

    /// Incidents open now.
    pub fn set_incidents_open(&self, incidents: usize) {
        self.series.incidents_open.set(gauge(incidents));
    }

    /// The rules in force are those of the files since `now`.
    pub fn set_rules_reload_succeeded(&self, now: Timestamp) {
        self.series.rules_reload_successful.set(1);
        self.series.rules_reload_last_success.set(seconds(now.as_millis()));
    }

    /// The files could not be used when they were read last.
    pub fn set_rules_reload_failed(&self) {
        self.series.rules_reload_successful.set(0);
    }

    /// Counts what became of notifications.
    pub fn add_notifications(&self, receiver: ReceiverKind, outcome: NotificationOutcome, count: u64) {
        self.series.notifications.get_or_create(&NotificationLabels { receiver, outcome }).inc_by(count);
    }

    /// Notifications waiting, over all receivers of the kind.
    pub fn set_notifications_waiting(&self, receiver: ReceiverKind, waiting: usize) {
        self.series.notifications_waiting.get_or_create(&ReceiverLabels { receiver }).set(gauge(waiting));
    }

    /// Counts notifications that were given up and written down.
    pub fn add_notification_dead_letters(&self, receiver: ReceiverKind, count: u64) {
        self.series.notification_dead_letters.get_or_create(&ReceiverLabels { receiver }).inc_by(count);
    }

    /// Counts a failure to write outboxes to disk.
    pub fn add_outbox_failure(&self) {
        self.series.outbox_failures.inc();
    }

    /// A reader of the event stream came.
    pub fn add_event_stream_reader(&self) {
        self.series.event_stream_readers.inc();
    }

    /// A reader of the event stream left.
    pub fn remove_event_stream_reader(&self) {
        self.series.event_stream_readers.dec();
    }

    /// Counts a reader of the event stream that was too slow.
    pub fn add_event_stream_dropped(&self) {
        self.series.event_stream_dropped.inc();
    }

    /// Counts what went into ClickHouse.
    pub fn add_stored(&self, delta: StoreDelta) {
        self.series.store_batches.inc_by(delta.batches);
        self.series.store_rows.inc_by(delta.rows);
        self.series.store_bytes.inc_by(delta.bytes);
        self.series.store_retries.inc_by(delta.retries);
    }

    /// Counts a failed insert; `code` is the error's `code()`.
    pub fn add_store_error(&self, code: &'static str) {
        self.series.store_errors.get_or_create(&ErrorLabels { code }).inc();
    }

    /// Whether ClickHouse takes inserts.
    pub fn set_store_up(&self, up: bool) {
        self.series.store_up.set(i64::from(up));
    }

    /// Counts a restart of the local ClickHouse.
    pub fn add_clickhouse_restart(&self) {
        self.series.clickhouse_restarts.inc();
    }

    /// Says how a probe is doing; `kind` is one of a bounded set, `name` comes from the configuration. Counts are totals,
    /// told by one task only.
    pub fn set_probe(&self, kind: &'static str, name: &str, progress: ProbeProgress) {
        let labels = ProbeLabels { kind, probe: name.to_owned() };
        self.series.probe_up.get_or_create(&labels).set(i64::from(progress.up));
        for (family, total) in [
            (&self.series.probe_failures, progress.failures),
            (&self.series.probe_events, progress.events),
            (&self.series.probe_events_dropped, progress.events_dropped),
        ] {
            let counter = family.get_or_create(&labels);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// How full a queue is.
    pub fn set_queue(&self, queue: Queue, depth: usize, bound: usize) {
        self.series.queue_depth.get_or_create(&QueueLabels { queue }).set(gauge(depth));
        self.series.queue_bound.get_or_create(&QueueLabels { queue }).set(gauge(bound));
    }

    /// All metrics as OpenMetrics 1.0 text, ending in `# EOF`. `now` is the wall clock, for ages.
    #[must_use]
    pub fn encode(&self, now: Timestamp) -> String {
        if let Some(watermark) = self.series.watermark.get(&[]).map(|gauge| gauge.get()) {
            self.series.watermark_age.get_or_create(&[]).set(seconds(now.as_millis()) - watermark);
        }
        let mut text = String::new();
        // Writing into a string cannot fail; an encoder's own error would be a metric that is always wrong, which the
        // test of the whole text would show.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
