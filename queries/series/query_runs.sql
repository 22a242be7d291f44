-- A curve of ClickHouse queries that ended for each value of one dimension (`by`; empty: one curve for all), those with the
-- most queries first. The rate of the last step is that of its part before `end`.
WITH
    multiIf(
        {by:String} = 'fingerprint', fingerprint,
        {by:String} = 'origin', toString(origin),
        {by:String} = 'version', toString(version),
        {by:String} = 'node', toString(node),
        '') AS of
SELECT
    label,
    groupArray(at) AS ats,
    groupArray(multiIf(
        {series:String} = 'queries_per_second', ended / (least(at + {step:UInt32}, {end:UInt32}) - at),
        {series:String} = 'query_failure_ratio', failed / ended,
        {series:String} = 'query_memory_max_bytes', toFloat64(memory),
        {series:String} = 'query_duration_p95_milliseconds', p95,
        nan)) AS values
FROM
(
    SELECT
        of AS label,
        {start:UInt32} + intDiv(toUnixTimestamp(toDateTime(timestamp)) - {start:UInt32}, {step:UInt32}) * {step:UInt32} AS at,
        count() AS ended,
        countIf(state IN ('failed', 'killed')) AS failed,
        max(memory_bytes) AS memory,
        quantileIf(0.95)(duration_ms, state = 'finished') AS p95
    FROM {database}.query_runs
    WHERE state != 'running'
        AND timestamp >= toDateTime64({start:UInt32}, 3, 'UTC') AND timestamp < toDateTime64({end:UInt32}, 3, 'UTC')
        AND (empty({fingerprint:String}) OR fingerprint = {fingerprint:String})
        AND (empty({origin:String}) OR origin = {origin:String})
        AND (empty({version:String}) OR version = {version:String})
        AND (empty({node:String}) OR node = {node:String})
    GROUP BY label, at
    ORDER BY label, at
)
GROUP BY label
ORDER BY sum(ended) DESC, label
LIMIT {limit:UInt32}
