-- One row: each column is a metric of the signal `clickhouse/NAME`; `now_us` is the server's clock.
SELECT
    toUnixTimestamp64Micro(now64(6)) AS now_us,
    (SELECT greatest(0, value) FROM system.metrics WHERE metric = 'MemoryTracking') AS memory_used_bytes,
    uptime() AS uptime_seconds,
    (SELECT sum(value) FROM system.events WHERE event = 'Query') AS operations_total,
    (SELECT sum(value) FROM system.events WHERE event IN ('NetworkReceiveBytes', 'NetworkSendBytes')) AS network_bytes_total,
    (SELECT value FROM system.metrics WHERE metric = 'Query') AS queries_running,
    (SELECT value FROM system.metrics WHERE metric = 'Merge') AS merges_running,
    (SELECT sumIf(value, code = 241) FROM system.errors) AS memory_limit_errors_total,
    (SELECT sumIf(value, code = 252) FROM system.errors) AS too_many_parts_errors_total,
    (SELECT count() FROM system.parts WHERE active) AS parts_active,
    (
        SELECT max(parts)
        FROM (SELECT count() AS parts FROM system.parts WHERE active GROUP BY database, table, partition_id)
    ) AS parts_per_partition_max
FORMAT JSONEachRow
