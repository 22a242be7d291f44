-- A curve of requests for each value of one dimension (`by`; empty: one curve for all), those with the most requests first.
-- A point stands for the `step` seconds from its time on; steps without requests have none. The rollup counts by minute: a
-- rate is that of the minutes that begin in the step and before `end`.
WITH
    toUnixTimestamp(minute) AS seconds,
    multiIf(
        {by:String} = 'subscription', subscription,
        {by:String} = 'client', toString(client),
        {by:String} = 'client_version', toString(client_version),
        {by:String} = 'service', toString(service),
        {by:String} = 'caller', toString(caller),
        {by:String} = 'route', toString(route),
        '') AS of,
    60 * (intDiv(least(at + {step:UInt32}, {end:UInt32}) + 59, 60) - intDiv(at + 59, 60)) AS covered_s
SELECT
    label,
    groupArray(at) AS ats,
    groupArray(multiIf(
        {series:String} = 'requests_per_second', all_requests / covered_s,
        {series:String} = 'errors_per_second', all_failures / covered_s,
        {series:String} = 'error_ratio', all_failures / all_requests,
        {series:String} = 'server_error_ratio', all_server_errors / all_requests,
        {series:String} = 'retry_ratio', all_resends / all_requests,
        -- A request whose first attempt was in the step before has none here.
        {series:String} = 'attempts_per_request', all_requests / greatest(1, toInt64(all_requests) - toInt64(all_resends)),
        {series:String} = 'request_bytes_per_second', all_request_bytes / covered_s,
        {series:String} = 'response_bytes_per_second', all_response_bytes / covered_s,
        nan)) AS values
FROM
(
    SELECT
        of AS label,
        {start:UInt32} + intDiv(seconds - {start:UInt32}, {step:UInt32}) * {step:UInt32} AS at,
        sum(requests) AS all_requests,
        sum(failures) AS all_failures,
        sumIf(requests, status_class = 5) AS all_server_errors,
        sum(resends) AS all_resends,
        sum(request_bytes) AS all_request_bytes,
        sum(response_bytes) AS all_response_bytes
    FROM {database}.requests_by_minute
    -- The day is first in the key and the minute last: without the day, every granule of the month is read.
    WHERE toDate(minute) BETWEEN toDate(toDateTime({start:UInt32}, 'UTC'), 'UTC') AND toDate(toDateTime({end:UInt32}, 'UTC'), 'UTC')
        AND minute >= toDateTime({start:UInt32}, 'UTC') AND minute < toDateTime({end:UInt32}, 'UTC')
        AND (empty({subscription:String}) OR subscription = {subscription:String})
        AND (empty({client:String}) OR client = {client:String})
        AND (empty({client_version:String}) OR client_version = {client_version:String})
        AND (empty({service:String}) OR service = {service:String})
        AND (empty({caller:String}) OR caller = {caller:String})
        AND (empty({route:String}) OR route = {route:String})
    GROUP BY label, at
    ORDER BY label, at
)
GROUP BY label
ORDER BY sum(all_requests) DESC, label
LIMIT {limit:UInt32}
