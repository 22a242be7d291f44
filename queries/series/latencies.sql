-- A percentile of the time to answer, in milliseconds, of requests that were answered with 2xx or 3xx; otherwise as
-- requests.sql. The histogram's buckets are 9 % wide: a value is the middle of its bucket.
WITH
    toUnixTimestamp(minute) AS seconds,
    multiIf({by:String} = 'service', toString(service), {by:String} = 'route', toString(route), '') AS of
SELECT
    label,
    groupArray(at) AS ats,
    groupArray(if(bucket = -32768, 0, exp2((bucket + 0.5) / 8))) AS values
FROM
(
    SELECT
        label,
        at,
        answered,
        arrayCumSum(mapValues(histogram)) AS cumulated,
        mapKeys(histogram)[arrayFirstIndex(count -> count >= {quantile:Float64} * cumulated[-1], cumulated)] AS bucket
    FROM
    (
        SELECT
            of AS label,
            {start:UInt32} + intDiv(seconds - {start:UInt32}, {step:UInt32}) * {step:UInt32} AS at,
            sum(requests) AS answered,
            sumMap(duration_ms) AS histogram
        FROM {database}.requests_by_minute
        WHERE toDate(minute) BETWEEN toDate(toDateTime({start:UInt32}, 'UTC'), 'UTC') AND toDate(toDateTime({end:UInt32}, 'UTC'), 'UTC')
            AND minute >= toDateTime({start:UInt32}, 'UTC') AND minute < toDateTime({end:UInt32}, 'UTC')
            AND status_class IN (2, 3)
            AND (empty({service:String}) OR service = {service:String})
            AND (empty({route:String}) OR route = {route:String})
        GROUP BY label, at
    )
    WHERE notEmpty(mapKeys(histogram))
    ORDER BY label, at
)
GROUP BY label
ORDER BY sum(answered) DESC, label
LIMIT {limit:UInt32}
