-- When silences were made and how they ended (`event`: created, removed, expired). `matchers` holds JSON, an array of texts.
CREATE TABLE {database}.silences
(
    id String,
    event LowCardinality(String),
    at DateTime64(3, 'UTC'),
    matchers String,
    starts_at DateTime64(3, 'UTC'),
    ends_at DateTime64(3, 'UTC'),
    author LowCardinality(String),
    reason String,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (at, id, event)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
