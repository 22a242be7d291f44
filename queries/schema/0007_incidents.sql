-- Incident reports. A later report of the same incident replaces the earlier one.
-- `ended_at` is the epoch while the incident is open. `alerts`, `causes`, `ruled_out`, `customers` and `actions` hold JSON.
CREATE TABLE {database}.incidents
(
    incident String,
    started_at DateTime64(3, 'UTC'),
    ended_at DateTime64(3, 'UTC'),
    severity LowCardinality(String),
    alerts String,
    causes String CODEC(ZSTD(3)),
    ruled_out String CODEC(ZSTD(3)),
    customers String CODEC(ZSTD(3)),
    actions String CODEC(ZSTD(3)),
    affected_subscriptions UInt64,
    affected_requests_share Float64,
    summary String CODEC(ZSTD(3)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY incident;
