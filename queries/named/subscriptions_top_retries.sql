-- title: Top subscriptions by repeated requests
-- owner: on-call
-- budget: interactive
-- Who repeats requests most, and with which client. With one client version on top, look at
-- `amplification_by_client_version`; then `customers_on_version` tells whom to write to.
-- Cost: the days of the range in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter client String = : only this client; empty for all
-- parameter limit UInt32 = 100: most rows
-- column subscription text: who is billed
-- column client text: its client
-- column client_version text: the client's version
-- column resends requests: not the first attempt
-- column requests requests: how many in all
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column attempts_known_share ratio: of the requests that told which attempt they are; below 0.5 the former says
--     little
-- column failure_share ratio: of its own requests
-- column share_of_resends ratio: of all repeats in the range
SELECT
    subscription, toString(requests_by_minute.client) AS client,
    toString(requests_by_minute.client_version) AS client_version,
    sum(requests_by_minute.resends) AS resends, sum(requests_by_minute.requests) AS requests,
    round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    round(sum(attempts_known) / greatest(requests, 1), 6) AS attempts_known_share,
    round(sum(failures) / greatest(requests, 1), 6) AS failure_share,
    round(resends / sum(resends) OVER (), 6) AS share_of_resends
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND caller = ''
    AND (empty({client:String}) OR requests_by_minute.client = {client:String})
GROUP BY subscription, client, client_version
HAVING resends > 0
ORDER BY resends DESC, subscription, client, client_version
LIMIT {limit:UInt32}
