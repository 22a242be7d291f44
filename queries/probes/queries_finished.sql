-- One page of finished queries after a position (end time and id), without Floodmark's own.
SELECT
    toUnixTimestamp64Micro(event_time_microseconds) AS time_us,
    query_id,
    substringUTF8(query, 1, 8000) AS text,
    leftPad(lower(hex(normalized_query_hash)), 16, '0') AS normalized_query_hash,
    user,
    multiIf(type = 'QueryFinish', 'finished', exception_code = 394, 'killed', 'failed') AS state,
    toFloat64(query_duration_ms) AS duration_ms,
    memory_usage AS memory_bytes,
    read_rows,
    read_bytes,
    exception_code,
    substringUTF8(log_comment, 1, 2000) AS comment
FROM system.query_log
WHERE event_date >= toDate(fromUnixTimestamp64Micro({from_us:Int64})) - 1
    AND (event_time_microseconds, query_id) > (fromUnixTimestamp64Micro({from_us:Int64}), {from_id:String})
    AND type != 'QueryStart'
    AND NOT startsWith(http_user_agent, 'floodmark/')
ORDER BY event_time_microseconds, query_id
LIMIT 1000
FORMAT JSONEachRow
