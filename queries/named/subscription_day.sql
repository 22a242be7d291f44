-- title: One subscription's day
-- owner: support
-- budget: interactive
-- What a subscription did, step by step: load, failures, repeats, how long it waited, what it mostly asked for. For
-- the talk with a customer who asks why, and for support before the talk.
-- Cost: the subscription's own rows of the rollup, a few granules a day.
-- parameter subscription String: whose day
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter limit UInt32 = 2000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of the minutes from
--     `from` on
-- column requests requests: how many in the step
-- column requests_per_second requests/s: on the average of the step's minutes that are in the range
-- column failures requests: answered with 5xx or 429
-- column failure_share ratio: of the requests
-- column resends requests: not the first attempt
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column p50_ms ms: half took at most so long; absent where durations are
-- column p95_ms ms: 95 of 100 took at most so long (buckets of 9 %)
-- column response_bytes bytes: sent to it
-- column main_route text: the route asked for most
-- column clients text: its clients and their versions, at most five
WITH
    (counts, share) -> if(
        empty(counts), NULL,
        round(pow(2,
            (mapKeys(counts)[arrayFirstIndex(c -> c >= share * arraySum(mapValues(counts)),
                arrayCumSum(mapValues(counts)))] + 1) / 8), 1)
    ) AS percentile_ms,
    toIntervalSecond(if({bucket_s:UInt32} > 0, greatest({bucket_s:UInt32}, 60),
        toUInt32(greatest(60,
            60 * ceil(dateDiff('second', {from:DateTime64(3, 'UTC')},
                {until:DateTime64(3, 'UTC')}) / 12000))))) AS bucket,
    -- Minutes of a step that are read: those that begin in the range.
    dateDiff('second', toStartOfMinute(greatest(step, toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) + 59),
        toStartOfMinute(least(step + bucket, toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')) + 59)) AS covered_s
SELECT
    toDateTime64(step, 3, 'UTC') AS time, sum(route_requests) AS requests,
    round(requests / covered_s, 4) AS requests_per_second,
    sum(route_failures) AS failures, round(failures / greatest(requests, 1), 6) AS failure_share,
    sum(route_resends) AS resends,
    round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    percentile_ms(sumMap(durations), 0.5) AS p50_ms, percentile_ms(sumMap(durations), 0.95) AS p95_ms,
    sum(route_bytes) AS response_bytes, argMax(route, (route_requests, route)) AS main_route,
    arrayStringConcat(arraySlice(arraySort(groupUniqArrayArray(10)(versions)), 1, 5), ', ') AS clients
FROM
(
    SELECT
        toStartOfInterval(minute, bucket) AS step, toString(route) AS route, sum(requests) AS route_requests,
        sum(failures) AS route_failures, sum(resends) AS route_resends, sumMap(duration_ms) AS durations,
        sum(response_bytes) AS route_bytes, groupUniqArray(10)(trim(concat(client, ' ', client_version))) AS versions
    FROM {database}.requests_by_minute
    WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
            AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
        AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
        AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
        AND requests_by_minute.subscription = {subscription:String}
        AND caller = ''
    GROUP BY step, route
)
GROUP BY step
ORDER BY step
LIMIT {limit:UInt32}
