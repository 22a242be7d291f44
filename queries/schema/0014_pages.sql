-- What was said of pages, a row a revision; also what a silence kept from receivers (`silenced_by`), and who has taken a
-- page (`event` acknowledged). A row written twice collapses.
-- `resolved_at` is the epoch while the page is open. `page` is the whole page as JSON, as receivers get it.
CREATE TABLE {database}.pages
(
    dedup_key String,
    revision UInt32,
    event LowCardinality(String),
    severity LowCardinality(String),
    reason LowCardinality(String),
    title String,
    at DateTime64(3, 'UTC'),
    since DateTime64(3, 'UTC'),
    resolved_at DateTime64(3, 'UTC'),
    said_at DateTime64(3, 'UTC'),
    silenced_by String,
    acknowledged_by LowCardinality(String),
    note String,
    page String CODEC(ZSTD(3)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
PARTITION BY toYYYYMM(said_at)
ORDER BY (said_at, dedup_key, revision)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
