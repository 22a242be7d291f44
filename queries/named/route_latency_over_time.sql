-- title: Route latency over time
-- owner: on-call
-- budget: interactive
-- How long each route takes, step by step. Routes that slow down together share what is behind them; one alone has
-- changed itself. Durations are in buckets of 9 %, so neighbours may be equal.
-- Cost: the days of the range in the rollup, with durations.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter service String = : only this service; empty for all
-- parameter route String = : only this route; empty for all
-- parameter limit UInt32 = 10000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of what came from
--     `from` on
-- column service text: who answered
-- column route text: the route
-- column requests requests: how many in the step
-- column p50_ms ms: half took at most so long
-- column p95_ms ms: 95 of 100 took at most so long
-- column p99_ms ms: 99 of 100 took at most so long
-- column failure_share ratio: of the requests
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
    toStartOfInterval(minute, bucket) AS step
SELECT
    toDateTime64(step, 3, 'UTC') AS time, toString(requests_by_minute.service) AS service,
    toString(requests_by_minute.route) AS route, sum(requests_by_minute.requests) AS requests,
    percentile_ms(sumMap(duration_ms), 0.5) AS p50_ms, percentile_ms(sumMap(duration_ms), 0.95) AS p95_ms,
    percentile_ms(sumMap(duration_ms), 0.99) AS p99_ms, round(sum(failures) / greatest(requests, 1), 6) AS failure_share
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND (empty({service:String}) OR requests_by_minute.service = {service:String})
    AND (empty({route:String}) OR requests_by_minute.route = {route:String})
GROUP BY step, service, route
ORDER BY step, service, route
LIMIT {limit:UInt32}
