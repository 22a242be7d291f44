-- title: Who exceeded a limit
-- owner: on-call
-- budget: interactive
-- Which subscriptions made more than `limit_per_minute` requests to `routes` in a minute of the clock, how often, and
-- by how much. A gateway that counts in sliding spans may differ at the edges of minutes. To try another limit, see
-- `floodmark limits what-if`.
-- Cost: the days of the range in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter limit_per_minute UInt32 = 1200: requests that a minute may have
-- parameter routes String = SearchFingerprints,CreateProfile,StartProfile: counted together, with commas between;
--     empty for all
-- parameter limit UInt32 = 100: most rows
-- column subscription text: who is billed
-- column minutes_over 1: minutes above the limit
-- column peak_requests_per_minute requests/min: the largest
-- column peak_at time: when that was
-- column times_the_limit ratio: the largest over the limit
-- column requests_over requests: above the limit, in all minutes
-- column over_share ratio: of its requests to the routes
-- column first_over_at time: the first minute above
-- column last_over_at time: the last one
WITH arrayMap(name -> trim(name), splitByChar(',', {routes:String})) AS counted
SELECT
    subscription, countIf(minute_requests > {limit_per_minute:UInt32}) AS minutes_over,
    max(minute_requests) AS peak_requests_per_minute,
    toDateTime64(argMax(minute, (minute_requests, -toUnixTimestamp(minute))), 3, 'UTC') AS peak_at,
    round(peak_requests_per_minute / greatest({limit_per_minute:UInt32}, 1), 3) AS times_the_limit,
    sumIf(minute_requests - {limit_per_minute:UInt32}, minute_requests > {limit_per_minute:UInt32}) AS requests_over,
    round(requests_over / greatest(sum(minute_requests), 1), 6) AS over_share,
    toDateTime64(minIf(minute, minute_requests > {limit_per_minute:UInt32}), 3, 'UTC') AS first_over_at,
    toDateTime64(maxIf(minute, minute_requests > {limit_per_minute:UInt32}), 3, 'UTC') AS last_over_at
FROM
(
    SELECT subscription, minute, sum(requests) AS minute_requests
    FROM {database}.requests_by_minute
    WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
            AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
        AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
        AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
        AND caller = '' AND (empty({routes:String}) OR has(counted, route))
    GROUP BY subscription, minute
)
GROUP BY subscription
HAVING minutes_over > 0
ORDER BY requests_over DESC, subscription
LIMIT {limit:UInt32}
