-- What alerts did. The key is the identity of a transition: one written twice (a replayed log, a retry) collapses.
-- `labels` and `causes` hold JSON as the API and the webhook give it.
CREATE TABLE {database}.alert_transitions
(
    at DateTime64(3, 'UTC'),
    event LowCardinality(String),
    alert LowCardinality(String),
    severity LowCardinality(String),
    incident String,
    since DateTime64(3, 'UTC'),
    labels String,
    value Float64,
    baseline Float64,
    unit LowCardinality(String),
    causes String CODEC(ZSTD(3)),
    affected_subscriptions UInt64,
    affected_requests_share Float64,
    summary String CODEC(ZSTD(3)),
    runbook LowCardinality(String),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
PARTITION BY toYYYYMM(at)
ORDER BY (at, alert, labels, severity, event)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
