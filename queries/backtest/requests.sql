-- Requests in the order of time, with what detection reads of them.
SELECT
    toUnixTimestamp64Milli(timestamp) AS timestamp_ms,
    subscription,
    client::String AS client,
    client_version::String AS client_version,
    service::String AS service,
    caller::String AS caller,
    route::String AS route,
    status,
    duration_ms,
    response_bytes,
    attempt,
    request_key
FROM {database}.requests
WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
ORDER BY timestamp, _topic, _partition, _offset, _index
