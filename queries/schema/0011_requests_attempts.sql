-- Where a request's attempt (or, without one, its key) was read, and how often the proxy tried its upstreams for it.
-- 0 upstream attempts: not known, or the request never left the proxy. Tries of clients and of proxies stay apart: what
-- reaches a service is their product.
ALTER TABLE {database}.requests
    ADD COLUMN IF NOT EXISTS attempt_source LowCardinality(String) AFTER attempt,
    ADD COLUMN IF NOT EXISTS upstream_attempts UInt32 CODEC(T64, ZSTD(1)) AFTER attempt_source;
