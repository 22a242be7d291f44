-- How runs ended whose answers did not tell it, and what they took. Of an id that a user has taken twice since, nothing:
-- which of them it was nobody knows.
SELECT
    query_id,
    user,
    toUInt32(any(exception_code)) AS code,
    any(substringUTF8(exception, 1, 2000)) AS message,
    any(memory_usage) AS memory_bytes,
    any(read_rows) AS rows,
    any(read_bytes) AS bytes
FROM system.query_log
WHERE event_date >= toDate(now() - {seconds:UInt32})
    AND event_time >= now() - {seconds:UInt32}
    AND type != 'QueryStart'
    AND is_initial_query
    AND has(splitByChar('\x1f', {ids:String}), query_id)
GROUP BY query_id, user
HAVING count() = 1
LIMIT 1000
SETTINGS log_comment = 'floodmark guard', log_queries = 0, max_threads = 1, max_memory_usage = 134217728, max_execution_time = 5,
    output_format_json_quote_64bit_integers = 0, output_format_json_validate_utf8 = 1
