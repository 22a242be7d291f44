-- title: Customers on a client version
-- owner: support
-- budget: report
-- Whom to write to about a client version: who runs it, since when, how hard, and their share of its harm (repeats and
-- failures). Start with the first rows; a version that is empty stands for clients that do not say.
-- Cost: the days of the range in the rollup.
-- parameter client String: the client
-- parameter client_version String = : only this version; empty for all
-- parameter from DateTime64(3, 'UTC') = now-7d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter limit UInt32 = 1000: most rows
-- column subscription text: whom to write to
-- column client_version text: the version
-- column first_seen_at time: its first minute in the range
-- column last_seen_at time: its last minute
-- column requests requests: how many, attempts each counted
-- column failures requests: answered with 5xx or 429
-- column resends requests: not the first attempt
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column peak_requests_per_minute requests/min: the most in a minute
-- column share_of_harm ratio: of the repeats and failures of all rows
SELECT
    subscription, version AS client_version, toDateTime64(min(minute), 3, 'UTC') AS first_seen_at,
    toDateTime64(max(minute), 3, 'UTC') AS last_seen_at, sum(minute_requests) AS requests,
    sum(minute_failures) AS failures,
    sum(minute_resends) AS resends, round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    max(minute_requests) AS peak_requests_per_minute,
    round((resends + failures) / greatest(sum(resends + failures) OVER (), 1), 6) AS share_of_harm
FROM
(
    SELECT
        subscription, toString(client_version) AS version, minute, sum(requests) AS minute_requests,
        sum(failures) AS minute_failures, sum(resends) AS minute_resends
    FROM {database}.requests_by_minute
    WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
            AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
        AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
        AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
        AND caller = '' AND requests_by_minute.client = {client:String}
        AND (empty({client_version:String}) OR requests_by_minute.client_version = {client_version:String})
    GROUP BY subscription, version, minute
)
GROUP BY subscription, version
ORDER BY share_of_harm DESC, requests DESC, subscription, client_version
LIMIT {limit:UInt32}
