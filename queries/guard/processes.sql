-- Queries that run now: the largest, the newest, those being killed; without the looks themselves and the engine's own.
SELECT
    -- A client chooses it, and its length.
    substringUTF8(query_id, 1, 200) AS query_id,
    -- As much as makes the fingerprint; of an INSERT the rest is data.
    substring(query, 1, if(query_kind = 'Insert', 2000, 65536)) AS text,
    user,
    query_kind AS kind,
    is_initial_query = 1 AS initial,
    is_cancelled = 1 AS cancelled,
    if(http_user_agent = '', client_name, http_user_agent) AS agent,
    substring(Settings['log_comment'], 1, 4000) AS comment,
    memory_now AS memory_bytes,
    greatest(memory_now, peak_memory_usage) AS memory_peak_bytes,
    toUInt64OrZero(Settings['max_memory_usage']) AS query_limit_bytes,
    read_rows,
    total_rows_approx AS total_rows,
    toInt64(elapsed * 1000) AS elapsed_ms,
    in_flight
FROM
(
    SELECT
        *,
        greatest(0, memory_usage) AS memory_now,
        count() OVER () AS in_flight,
        row_number() OVER (ORDER BY memory_usage DESC, query_id) AS place_by_memory,
        row_number() OVER (ORDER BY elapsed, query_id) AS place_by_age
    FROM system.processes
    WHERE user != '' AND NOT (user = currentUser() AND Settings['log_comment'] = 'floodmark guard')
)
WHERE place_by_memory <= {largest:UInt32} OR place_by_age <= {newest:UInt32} OR is_cancelled
ORDER BY memory_bytes DESC, query_id
LIMIT {rows:UInt32}
SETTINGS log_comment = 'floodmark guard', log_queries = 0, max_threads = 1, max_untracked_memory = 67108864, max_memory_usage = 134217728,
    output_format_json_quote_64bit_integers = 0, output_format_json_validate_utf8 = 1
