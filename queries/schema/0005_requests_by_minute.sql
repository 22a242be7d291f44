-- Requests by minute. Each batch writes its own part of a minute; merges add the parts up, and a query adds what is
-- not yet merged. The minute is last in the key: a series lies together, so that a subscription's day and a client
-- version's month read little.
--   status_class     2 for 2xx and so on, 0 when the client went away
--   failures         status 5xx or 429
--   resends          attempt > 1
--   duration_ms      OpenTelemetry exponential histogram of scale 3: bucket i counts (2^(i/8), 2^((i+1)/8)]
--                    milliseconds, bucket -32768 counts zero
CREATE TABLE {database}.requests_by_minute
(
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    subscription String CODEC(ZSTD(1)),
    client LowCardinality(String),
    client_version LowCardinality(String),
    service LowCardinality(String),
    caller LowCardinality(String),
    route LowCardinality(String),
    status_class UInt16 CODEC(T64, ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    failures SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    resends SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    request_bytes SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    response_bytes SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ms SimpleAggregateFunction(sumMap, Map(Int16, UInt64)) CODEC(ZSTD(1)),
    inserted_at SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now() CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (toDate(minute), subscription, client, client_version, service, caller, route, status_class, minute)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
