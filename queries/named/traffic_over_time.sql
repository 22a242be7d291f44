-- title: Load, failures and attempts over time
-- owner: on-call
-- budget: interactive
-- The edge as a curve: load, failures, repeats, how long requests took, how many subscriptions were there. All filters
-- are optional; with a subscription or a client version this is its own curve.
-- Cost: the days of the range in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter subscription String = : only this subscription; empty for all
-- parameter client String = : only this client; empty for all
-- parameter client_version String = : only this version; empty for all
-- parameter service String = : only this service; empty for all
-- parameter route String = : only this route; empty for all
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
-- column subscriptions 1: how many asked
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
    toStartOfInterval(minute, bucket) AS step,
    -- Its minutes that are read: those that begin in the range.
    dateDiff('second', toStartOfMinute(greatest(step, toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) + 59),
        toStartOfMinute(least(step + bucket, toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')) + 59)) AS covered_s
SELECT
    toDateTime64(step, 3, 'UTC') AS time, sum(requests_by_minute.requests) AS requests,
    round(requests / covered_s, 4) AS requests_per_second,
    sum(requests_by_minute.failures) AS failures, round(failures / greatest(requests, 1), 6) AS failure_share,
    sum(requests_by_minute.resends) AS resends,
    round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    percentile_ms(sumMap(duration_ms), 0.5) AS p50_ms, percentile_ms(sumMap(duration_ms), 0.95) AS p95_ms,
    uniqExact(requests_by_minute.subscription) AS subscriptions
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND caller = ''
    AND (empty({subscription:String}) OR requests_by_minute.subscription = {subscription:String})
    AND (empty({client:String}) OR requests_by_minute.client = {client:String})
    AND (empty({client_version:String}) OR requests_by_minute.client_version = {client_version:String})
    AND (empty({service:String}) OR requests_by_minute.service = {service:String})
    AND (empty({route:String}) OR requests_by_minute.route = {route:String})
GROUP BY step
ORDER BY step
LIMIT {limit:UInt32}
