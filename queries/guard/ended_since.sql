-- Queries that the server saw end, well or not, in the time around a restart: those of the last look that are missing here
-- died with the server. Asked for by the end of their ids: a busy server ends far more than a look lists.
SELECT DISTINCT substringUTF8(query_id, 1, 200) AS query_id
FROM system.query_log
WHERE event_date >= toDate(fromUnixTimestamp64Milli({from_ms:Int64})) - 1
    AND event_time_microseconds >= fromUnixTimestamp64Milli({from_ms:Int64})
    AND event_time_microseconds <= fromUnixTimestamp64Milli({to_ms:Int64})
    AND type != 'QueryStart'
    AND has(splitByChar('\x1f', {ids:String}), rightUTF8(substringUTF8(query_id, 1, 200), 32))
LIMIT 10000
SETTINGS log_comment = 'floodmark guard', log_queries = 0, max_threads = 1, max_memory_usage = 134217728
