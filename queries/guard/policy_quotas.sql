-- The guard's quotas with their limits, one interval a row; and quotas of others whose key the client chooses.
SELECT
    quota.name AS name,
    quota.storage AS storage,
    arrayStringConcat(arraySort(arrayMap(key -> toString(key), quota.keys)), ', ') AS keyed_by,
    arrayStringConcat(arraySort(if(quota.apply_to_all, ['ALL'], quota.apply_to_list)), ', ') AS applies_to,
    limits.duration AS seconds,
    toString(limits.max_queries) AS queries,
    toString(limits.max_read_bytes) AS read_bytes,
    toString(tuple(limits.max_query_selects, limits.max_query_inserts, limits.max_errors, limits.max_result_rows,
        limits.max_result_bytes, limits.max_read_rows, limits.max_execution_time, limits.max_written_bytes)) AS others
FROM system.quotas AS quota
LEFT JOIN system.quota_limits AS limits ON limits.quota_name = quota.name
WHERE startsWith(quota.name, {prefix:String}) OR has(quota.keys, 'client_key')
