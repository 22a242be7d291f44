-- One row: how the server is. Under own small limits, untracked below 64 MiB so that a look passes where the server is full;
-- not logged, because one comes each second.
SELECT
    toUnixTimestamp64Milli(now64(3)) AS server_ms,
    uptime() AS uptime_seconds,
    (SELECT greatest(0, sum(value)) FROM system.metrics WHERE metric = 'MemoryTracking') AS memory_used_bytes,
    (SELECT greatest(0, sum(value)) FROM system.metrics WHERE metric = 'MergesMutationsMemoryTracking') AS merges_memory_bytes,
    (
        SELECT sum(toUInt64OrZero(value))
        FROM system.server_settings
        WHERE name = 'max_server_memory_usage'
    ) AS memory_limit_bytes
SETTINGS log_comment = 'floodmark guard', log_queries = 0, max_threads = 1, max_untracked_memory = 67108864, max_memory_usage = 67108864,
    output_format_json_quote_64bit_integers = 0
