-- What the server allows itself: beyond it queries fail with code 241. 0 means that it has no limit of its own.
SELECT toFloat64OrZero(value) AS memory_limit_bytes
FROM system.server_settings
WHERE name = 'max_server_memory_usage'
FORMAT JSONEachRow
