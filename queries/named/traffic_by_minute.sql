-- title: Requests by minute and everything they are described with
-- owner: on-call
-- budget: report
-- Requests from `from` to before `until`, by minute and by what a request is described with; a row for each combination
-- that was seen. Newest minutes first, so that a limit that is reached cuts off the oldest.
-- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter service String = : only this service; empty for all
-- parameter limit UInt32 = 1000: most rows
-- column minute time: the minute
-- column subscription text: who is billed
-- column client text: its client
-- column client_version text: the client's version
-- column service text: who answered
-- column caller text: the service that called; empty at the edge
-- column route text: the route
-- column requests requests: how many
-- column failures requests: answered with 5xx or 429
-- column resends requests: not the first attempt
SELECT
    minute, subscription, client, client_version, toString(service) AS service, caller, route,
    sum(requests) AS requests, sum(failures) AS failures, sum(resends) AS resends
FROM {database}.requests_by_minute
-- The day is first in the key and the minute last: without the day, every granule of the month is read.
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND (empty({service:String}) OR requests_by_minute.service = {service:String})
GROUP BY minute, subscription, client, client_version, service, caller, route
ORDER BY minute DESC, subscription, client, client_version, service, caller, route
LIMIT {limit:UInt32}
