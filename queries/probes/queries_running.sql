-- Queries that run now, the largest first, without Floodmark's own and the engine's.
SELECT
    query_id,
    substringUTF8(query, 1, 8000) AS text,
    leftPad(lower(hex(normalized_query_hash)), 16, '0') AS normalized_query_hash,
    user,
    'running' AS state,
    elapsed * 1000 AS duration_ms,
    greatest(memory_usage, peak_memory_usage, 0) AS memory_bytes,
    read_rows,
    read_bytes,
    substringUTF8(Settings['log_comment'], 1, 2000) AS comment
FROM system.processes
WHERE NOT startsWith(http_user_agent, 'floodmark/') AND user != ''
ORDER BY memory_bytes DESC, query_id
LIMIT 1000
FORMAT JSONEachRow
