-- Requests at the edge in the order of time, with what a limit counts by. The server sorts the span: keep it short.
SELECT
    toUnixTimestamp64Milli(timestamp) AS timestamp_ms,
    subscription,
    client::String AS client,
    client_version::String AS client_version,
    service::String AS service,
    route::String AS route,
    status,
    attempt
FROM {database}.requests
WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    AND caller = ''
ORDER BY timestamp, _topic, _partition, _offset, _index
