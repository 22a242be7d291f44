-- title: State of error budgets
-- owner: on-call
-- budget: report
-- How much of each service's error budget is used. A failure is a 5xx; 429 is the platform doing what it promised.
-- `burn_rate_1h` and `burn_rate_6h` are how many times faster than allowed it burns now: 1 lasts exactly for the
-- range.
-- Cost: the days of the range in the rollup, three columns.
-- parameter from DateTime64(3, 'UTC') = now-30d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter objective Float64 = 0.999: the share that must succeed, above 0 and below 1
-- parameter service String = : only this service; empty for all
-- parameter limit UInt32 = 100: most rows
-- column service text: who answered
-- column requests requests: how many
-- column failures requests: answered with 5xx
-- column availability ratio: of requests that succeeded
-- column failures_allowed requests: what the objective leaves
-- column budget_used ratio: 1 is all of it
-- column budget_left requests: negative when it is overdrawn
-- column burn_rate_1h ratio: failed share of the last hour over the allowed one; absent where the range is
--     shorter
-- column burn_rate_6h ratio: of the last six hours; absent where the range is shorter
WITH
    (SELECT throwIf(NOT ({objective:Float64} > 0 AND {objective:Float64} < 1),
        'objective is a share above 0 and below 1, as in 0.999')) AS is_refused,
    1 - {objective:Float64} AS allowed,
    dateDiff('second', {from:DateTime64(3, 'UTC')}, {until:DateTime64(3, 'UTC')}) AS range_s
SELECT
    toString(requests_by_minute.service) AS service, sum(requests_by_minute.requests) AS requests,
    sumIf(requests_by_minute.requests, status_class = 5) AS failures,
    round(1 - failures / requests, 6) AS availability, round(requests * allowed, 1) AS failures_allowed,
    round(failures / (requests * allowed), 4) AS budget_used, round(requests * allowed - failures, 1) AS budget_left,
    if(range_s < 3600, NULL, round(
        sumIf(requests_by_minute.requests,
            status_class = 5 AND minute >= toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') - 3600)
        / greatest(sumIf(requests_by_minute.requests,
            minute >= toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') - 3600), 1) / allowed, 3)) AS burn_rate_1h,
    if(range_s < 21600, NULL, round(
        sumIf(requests_by_minute.requests,
            status_class = 5 AND minute >= toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') - 21600)
        / greatest(sumIf(requests_by_minute.requests,
            minute >= toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') - 21600), 1) / allowed, 3)) AS burn_rate_6h
FROM {database}.requests_by_minute
WHERE is_refused = 0
    AND toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND (empty({service:String}) OR requests_by_minute.service = {service:String})
GROUP BY service
HAVING requests > 0
ORDER BY budget_used DESC, service
LIMIT {limit:UInt32}
