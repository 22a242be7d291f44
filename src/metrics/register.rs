//! Names, units and help texts of the metrics.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::Series;
use super::labels::BuildLabels;

/// Names every series. The registry adds the prefix `floodmark_`, the unit, and `_total` to counters.
pub(super) fn register(registry: &mut Registry, series: &Series) {
    let version = env!("CARGO_PKG_VERSION");
    registry.register("build", "The running build", Info::new(BuildLabels { version }));
    register_input(registry, series);
    register_detection(registry, series);
    register_store(registry, series);
    register_probes(registry, series);
    series.paging.register(registry);
    series.guard.register(registry);
    super::guard_watch::register(registry, &series.guard_watch);
    series.rule_evaluations.register(registry);
    series.status_page.register(registry);
    series.questions.register(registry);
}

pub(super) fn plain<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: &M) {
    registry.register(name, help, metric.clone());
}

fn register_input(registry: &mut Registry, series: &Series) {
    plain(registry, "messages", "Kafka messages read", &series.messages);
    registry.register_with_unit("input", "Bytes of messages read", Unit::Bytes, series.input_bytes.clone());
    plain(registry, "events", "Events decoded", &series.events);
    plain(registry, "rejections", "Records that no decoder could read, by reason", &series.rejections);
    plain(registry, "dead_letters", "Records written to the dead-letter topic", &series.dead_letters);
    plain(
        registry,
        "intake_requests",
        "HTTP requests that brought records, by what became of them",
        &series.intake_requests,
    );
    plain(
        registry,
        "intake_records",
        "Records that did not come from Kafka, by what became of them",
        &series.intake_records,
    );
    registry.register_with_unit(
        "intake_pending",
        "Bytes of such records that are not safe yet",
        Unit::Bytes,
        series.intake_pending.clone(),
    );
    plain(registry, "consumer_lag_messages", "Messages between our position and the partition's end", &series.lag);
    plain(
        registry,
        "partitions_elsewhere",
        "Partitions of the inputs that another member of the consumer group reads: detection here does not see them",
        &series.partitions_elsewhere,
    );
    plain(registry, "consumer_position_offset", "Next offset to read", &series.position);
    plain(
        registry,
        "partition_level",
        "1 while storage keeps up with reading, 0 while it has to read again",
        &series.level,
    );
    plain(
        registry,
        "messages_read_again",
        "Messages read twice because storage fell behind",
        &series.messages_read_again,
    );
    plain(registry, "offsets_lost", "Offsets that retention removed before they were stored", &series.offsets_lost);
    plain(registry, "queue_depth", "Entries waiting in a bounded queue", &series.queue_depth);
    plain(registry, "queue_bound", "Most entries that a bounded queue holds", &series.queue_bound);
}

fn register_detection(registry: &mut Registry, series: &Series) {
    plain(registry, "late_events", "Events after their window was closed: stored, not detected on", &series.late);
    plain(registry, "windows_closed", "Windows closed", &series.windows_closed);
    registry.register_with_unit(
        "watermark_timestamp",
        "Event time up to which everything is decided, since the Unix epoch",
        Unit::Seconds,
        series.watermark.clone(),
    );
    registry.register_with_unit(
        "watermark_age",
        "Wall clock minus the watermark",
        Unit::Seconds,
        series.watermark_age.clone(),
    );
    plain(registry, "alerts_firing", "Alerts firing now", &series.alerts_firing);
    plain(registry, "incidents_open", "Incidents open now", &series.incidents_open);
    plain(
        registry,
        "rules_reload_successful",
        "1 while the rules in force are those of the files as they were read last",
        &series.rules_reload_successful,
    );
    registry.register_with_unit(
        "rules_reload_last_success_timestamp",
        "When the files of rules were last read and put in force, since the Unix epoch",
        Unit::Seconds,
        series.rules_reload_last_success.clone(),
    );
    plain(
        registry,
        "indistinct",
        "Events, strings, keys and findings that a bound made indistinct",
        &series.indistinct,
    );
    plain(
        registry,
        "outputs_not_stored",
        "Transitions and reports that found no room on their way to ClickHouse; alerts went out all the same",
        &series.outputs_not_stored,
    );
    plain(registry, "alert_transitions", "Alert transitions", &series.transitions);
    plain(
        registry,
        "notifications",
        "Notifications by what became of them; `retried` counts tries",
        &series.notifications,
    );
    plain(registry, "notifications_waiting", "Notifications waiting for their receiver", &series.notifications_waiting);
    plain(
        registry,
        "notification_dead_letters",
        "Notifications that were given up and written down",
        &series.notification_dead_letters,
    );
    plain(registry, "outbox_failures", "Failures to write outboxes to disk", &series.outbox_failures);
    plain(registry, "event_stream_readers", "Readers of the event stream now", &series.event_stream_readers);
    plain(
        registry,
        "event_stream_dropped",
        "Readers of the event stream that were too slow and were told so",
        &series.event_stream_dropped,
    );
}

fn register_store(registry: &mut Registry, series: &Series) {
    plain(registry, "store_batches", "Batches stored in ClickHouse", &series.store_batches);
    plain(registry, "store_rows", "Rows stored in ClickHouse", &series.store_rows);
    registry.register_with_unit("store_sent", "Bytes sent to ClickHouse", Unit::Bytes, series.store_bytes.clone());
    plain(registry, "store_retries", "Inserts that were repeated", &series.store_retries);
    plain(registry, "store_errors", "Failed inserts by class of error", &series.store_errors);
    plain(registry, "store_up", "1 while ClickHouse takes inserts", &series.store_up);
    plain(registry, "clickhouse_restarts", "Restarts of the local ClickHouse", &series.clickhouse_restarts);
}

fn register_probes(registry: &mut Registry, series: &Series) {
    plain(registry, "probe_up", "1 while the target of a probe answers", &series.probe_up);
    plain(registry, "probe_failures", "Looks at the target of a probe that failed", &series.probe_failures);
    plain(registry, "probe_events", "Events that a probe sent", &series.probe_events);
    plain(
        registry,
        "probe_events_dropped",
        "Events of a probe that were dropped because detection did not keep up",
        &series.probe_events_dropped,
    );
}
