-- title: Attempts per request by client version
-- owner: on-call
-- budget: interactive
-- How many attempts each client version makes for one request, and how many subscriptions use it. A version far above
-- the others repeats failed requests without end: `customers_on_version` lists who runs it.
-- `upstream_tries_per_request` is what proxies add behind the edge: what reaches a service is the product.
-- Cost: the days of the range in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter client String = : only this client; empty for all
-- parameter limit UInt32 = 100: most rows
-- column client text: the client
-- column client_version text: its version
-- column requests requests: how many, attempts each counted
-- column first_attempts requests: what was asked for
-- column resends requests: not the first attempt
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column attempts_known_share ratio: of the requests that told which attempt they are; below 0.5 the former says
--     little
-- column upstream_tries_per_request ratio: tries of proxies at their upstreams over requests; 0 where they do not say
-- column failure_share ratio: of its requests
-- column subscriptions 1: how many use it
-- column share ratio: of all requests in the range
SELECT
    toString(requests_by_minute.client) AS client, toString(requests_by_minute.client_version) AS client_version,
    sum(requests_by_minute.requests) AS requests, requests - resends AS first_attempts,
    sum(requests_by_minute.resends) AS resends,
    round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    round(sum(attempts_known) / greatest(requests, 1), 6) AS attempts_known_share,
    round(sum(upstream_attempts) / greatest(requests, 1), 3) AS upstream_tries_per_request,
    round(sum(failures) / greatest(requests, 1), 6) AS failure_share, uniqExact(subscription) AS subscriptions,
    round(requests / sum(requests) OVER (), 6) AS share
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND caller = ''
    AND (empty({client:String}) OR requests_by_minute.client = {client:String})
GROUP BY client, client_version
ORDER BY attempts_per_request DESC, requests DESC, client, client_version
LIMIT {limit:UInt32}
