-- A curve of the metric `metric` for each source: of a gauge its mean in each step, of a counter (`…_total`) what it went up
-- by, a second of the step before `end`. A counter that begins anew counts from 0.
SELECT
    label,
    groupArray(at) AS ats,
    groupArray(if(endsWith({metric:String}, '_total'), risen / (least(at + {step:UInt32}, {end:UInt32}) - at), mean)) AS values
FROM
(
    SELECT
        toString(source) AS label,
        {start:UInt32} + intDiv(toUnixTimestamp(moment) - {start:UInt32}, {step:UInt32}) * {step:UInt32} AS at,
        avg(value) AS mean,
        sum(if(value >= before, value - before, value)) AS risen
    FROM
    (
        SELECT
            source,
            toDateTime(timestamp) AS moment,
            value,
            lagInFrame(value, 1, value) OVER (PARTITION BY source ORDER BY timestamp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
        FROM {database}.signals
        WHERE metric = {metric:String}
            AND (empty({source:String}) OR source = {source:String})
            AND timestamp >= toDateTime64({start:UInt32}, 3, 'UTC') AND timestamp < toDateTime64({end:UInt32}, 3, 'UTC')
    )
    GROUP BY label, at
    ORDER BY label, at
)
GROUP BY label
ORDER BY max(mean) DESC, label
LIMIT {limit:UInt32}
