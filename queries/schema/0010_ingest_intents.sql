-- Ranges that were about to be stored, for brokers that lose the metadata of commits: there this table says after a
-- crash how the ranges were cut. A range is here before its rows are stored, and in `ingest_ledger` after.
CREATE TABLE {database}.ingest_intents
(
    topic LowCardinality(String),
    epoch String,
    partition Int32,
    offset_start Int64,
    offset_end Int64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (topic, partition, offset_start, offset_end, epoch)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
