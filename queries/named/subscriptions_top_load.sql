-- title: Top subscriptions by load
-- owner: on-call
-- budget: interactive
-- Who asks most at the edge (calls between services are not counted), with how much of it fails and is repeated. Look
-- at the first rows when load is high and nothing else is known: one customer far above the rest is the usual answer.
-- Minutes that begin in the range are counted; of a range inside one minute, that minute.
-- Cost: the days of the range in the rollup, whatever their hours.
-- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter service String = : only this service; empty for all
-- parameter limit UInt32 = 100: most rows
-- column subscription text: who is billed
-- column requests requests: how many, attempts each counted
-- column requests_per_minute requests/min: on the average of the minutes that were counted
-- column share ratio: of all requests in the range
-- column failures requests: answered with 5xx or 429
-- column failure_share ratio: of its own requests
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column attempts_known_share ratio: of the requests that told which attempt they are; below 0.5 the former says
--     little
-- column response_bytes bytes: sent to it
WITH
    toDateTime({from:DateTime64(3, 'UTC')}, 'UTC') AS from_second,
    toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') AS until_second,
    -- The minute of the last second, where none begins in the range.
    if(from_second < until_second, least(from_second, toStartOfMinute(until_second - 1)), from_second) AS counted_from,
    dateDiff('minute', toStartOfMinute(counted_from + 59), toStartOfMinute(until_second + 59)) AS counted_minutes
SELECT
    subscription, sum(requests_by_minute.requests) AS requests,
    round(requests / greatest(counted_minutes, 1), 3) AS requests_per_minute,
    round(requests / sum(requests) OVER (), 6) AS share,
    sum(requests_by_minute.failures) AS failures, round(failures / greatest(requests, 1), 6) AS failure_share,
    round(requests / greatest(requests - sum(resends), 1), 3) AS attempts_per_request,
    round(sum(attempts_known) / greatest(requests, 1), 6) AS attempts_known_share,
    sum(requests_by_minute.response_bytes) AS response_bytes
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= counted_from AND minute < until_second
    AND caller = ''
    AND (empty({service:String}) OR requests_by_minute.service = {service:String})
GROUP BY subscription
ORDER BY requests DESC, subscription
LIMIT {limit:UInt32}
