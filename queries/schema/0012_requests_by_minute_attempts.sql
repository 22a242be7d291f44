-- attempts_known     requests whose attempt is known, from the first on: over `requests`, how much of the traffic says so
-- upstream_attempts  tries that proxies made at their upstreams
ALTER TABLE {database}.requests_by_minute
    ADD COLUMN IF NOT EXISTS attempts_known SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER resends,
    ADD COLUMN IF NOT EXISTS upstream_attempts SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER attempts_known;
