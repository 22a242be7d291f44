-- What became of every range of offsets. A row is written after the rows of its range, so a range in the ledger is
-- stored. `offset_end` is the next offset, not the last. A range that was written twice collapses.
--   messages = Kafka messages (or lines) read, rows = events stored, dead_lettered = records refused,
--   control = watermarks, which are neither
CREATE TABLE {database}.ingest_ledger
(
    topic LowCardinality(String),
    partition Int32,
    offset_start Int64,
    offset_end Int64,
    messages UInt64,
    rows UInt64,
    dead_lettered UInt64,
    control UInt64,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(inserted_at)
ORDER BY (topic, partition, offset_start, offset_end)
SETTINGS non_replicated_deduplication_window = 10000;
