-- Raw requests, a row an attempt. The hour leads the key so that a short incident reads few hours of all
-- subscriptions, and inside an hour a subscription's rows lie together: its day is 24 short ranges.
-- An absent number is 0 and an absent text is empty.
CREATE TABLE {database}.requests
(
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    subscription String CODEC(ZSTD(1)),
    client LowCardinality(String),
    client_version LowCardinality(String),
    service LowCardinality(String),
    caller LowCardinality(String),
    method LowCardinality(String),
    route LowCardinality(String),
    status UInt16 CODEC(T64, ZSTD(1)),
    duration_ms Float32 CODEC(ZSTD(1)),
    request_bytes UInt64 CODEC(T64, ZSTD(1)),
    response_bytes UInt64 CODEC(T64, ZSTD(1)),
    attempt UInt32 CODEC(T64, ZSTD(1)),
    request_key String CODEC(ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    region LowCardinality(String),
    host LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    attributes_dropped UInt32 CODEC(T64, ZSTD(1)),
    _topic LowCardinality(String),
    _partition Int32 CODEC(T64, ZSTD(1)),
    _offset Int64 CODEC(Delta, ZSTD(1)),
    _index UInt16 CODEC(T64, ZSTD(1)),
    inserted_at DateTime('UTC') DEFAULT now() CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (toStartOfHour(timestamp), subscription, timestamp)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
