CREATE TABLE IF NOT EXISTS trial.events
(
    day Date,
    timestamp DateTime,
    customer UInt32,
    feature LowCardinality(String),
    session UInt64,
    payload String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (customer, timestamp)
