-- Finished and running queries of the ClickHouse servers that are watched.
-- An absent number is 0, an absent text is empty.
CREATE TABLE {database}.query_runs
(
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    node LowCardinality(String),
    query String CODEC(ZSTD(3)),
    fingerprint String CODEC(ZSTD(1)),
    user LowCardinality(String),
    origin LowCardinality(String),
    version LowCardinality(String),
    subscription String CODEC(ZSTD(1)),
    state LowCardinality(String),
    duration_ms Float64 CODEC(ZSTD(1)),
    memory_bytes UInt64 CODEC(T64, ZSTD(1)),
    read_rows UInt64 CODEC(T64, ZSTD(1)),
    read_bytes UInt64 CODEC(T64, ZSTD(1)),
    exception_code Int32 CODEC(T64, ZSTD(1)),
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
ORDER BY (fingerprint, timestamp)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
