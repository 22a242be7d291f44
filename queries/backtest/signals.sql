-- Signals in the order of time.
SELECT toUnixTimestamp64Milli(timestamp) AS timestamp_ms, source::String AS source, metric::String AS metric, value
FROM {database}.signals
WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
ORDER BY timestamp, _topic, _partition, _offset, _index
