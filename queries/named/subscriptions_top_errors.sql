-- title: Top subscriptions by failed requests
-- owner: on-call
-- budget: interactive
-- Whose requests fail most, and on which route. Many subscriptions with the same worst route are a fault of ours; one
-- that fails alone is usually its own doing (a wrong argument gives 4xx, which are not counted here; 429 are).
-- Cost: the days of the range in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter service String = : only this service; empty for all
-- parameter limit UInt32 = 100: most rows
-- column subscription text: who is billed
-- column failures requests: answered with 5xx or 429
-- column server_errors requests: answered with 5xx
-- column requests requests: how many in all
-- column failure_share ratio: of its own requests
-- column share_of_failures ratio: of all failures in the range
-- column worst_route text: the route with most of its failures
-- column worst_route_share ratio: of its failures
SELECT
    subscription, sum(route_failures) AS failures, sum(route_server_errors) AS server_errors,
    sum(route_requests) AS requests, round(failures / greatest(requests, 1), 6) AS failure_share,
    round(failures / sum(failures) OVER (), 6) AS share_of_failures,
    argMax(route, (route_failures, route)) AS worst_route,
    round(max(route_failures) / greatest(failures, 1), 6) AS worst_route_share
FROM
(
    SELECT
        subscription, toString(route) AS route, sum(requests) AS route_requests, sum(failures) AS route_failures,
        sumIf(requests, status_class = 5) AS route_server_errors
    FROM {database}.requests_by_minute
    WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
            AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
        AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
        AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
        AND caller = ''
        AND (empty({service:String}) OR requests_by_minute.service = {service:String})
    GROUP BY subscription, route
)
GROUP BY subscription
HAVING failures > 0
ORDER BY failures DESC, subscription
LIMIT {limit:UInt32}
