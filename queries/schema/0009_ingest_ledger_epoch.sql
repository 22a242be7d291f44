-- A topic that is made anew counts its offsets from 0 again: `epoch` (Kafka's topic id, or empty where the broker does
-- not tell it) keeps its ranges apart from those before. `dropped` counts offsets of the range that were given up, and
-- `dropped_reason` says why (`expired`: retention removed them before they were stored).
ALTER TABLE {database}.ingest_ledger
    ADD COLUMN IF NOT EXISTS epoch String,
    ADD COLUMN IF NOT EXISTS dropped UInt64,
    ADD COLUMN IF NOT EXISTS dropped_reason LowCardinality(String),
    MODIFY ORDER BY (topic, partition, offset_start, offset_end, epoch);
