-- Query runs in the order of time, with what detection reads of them.
SELECT
    toUnixTimestamp64Milli(timestamp) AS timestamp_ms,
    node::String AS node,
    query,
    fingerprint,
    user::String AS user,
    origin::String AS origin,
    version::String AS version,
    subscription,
    state::String AS state,
    duration_ms,
    memory_bytes,
    read_rows,
    read_bytes,
    exception_code,
    attributes['query_id'] AS query_id
FROM {database}.query_runs
WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
ORDER BY timestamp, _topic, _partition, _offset, _index
