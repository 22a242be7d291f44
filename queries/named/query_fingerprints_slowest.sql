-- title: Slowest query fingerprints
-- owner: on-call
-- budget: interactive
-- Which ClickHouse queries take longest. A query that became slow on a day belongs to a release of that day
-- (`change_impact`).
-- Cost: the days of the range in the raw query runs; no text of a query but one for each fingerprint is kept.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter node String = : only this server; empty for all
-- parameter limit UInt32 = 50: most rows
-- column fingerprint text: the query without its values
-- column example text: the beginning of one of them
-- column origin text: which feature or dashboard asks most
-- column runs 1: how many ended
-- column failed 1: that failed or were killed
-- column p50_ms ms: half took at most so long
-- column p95_ms ms: 95 of 100 took at most so long
-- column max_ms ms: the longest
-- column total_s s: time of all its runs
-- column share_of_time ratio: of the time of all queries
SELECT
    query_runs.fingerprint AS fingerprint, substringUTF8(argMax(query, (duration_ms, query)), 1, 300) AS example,
    toString(topKWeighted(1)(query_runs.origin, 1)[1]) AS origin, count() AS runs,
    countIf(state != 'finished') AS failed,
    round(quantileExact(0.5)(duration_ms), 1) AS p50_ms, round(quantileExact(0.95)(duration_ms), 1) AS p95_ms,
    round(max(duration_ms), 1) AS max_ms, round(sum(duration_ms) / 1000, 3) AS total_s,
    round(sum(duration_ms) / sum(sum(duration_ms)) OVER (), 6) AS share_of_time
FROM {database}.query_runs
WHERE query_runs.timestamp >= {from:DateTime64(3, 'UTC')} AND query_runs.timestamp < {until:DateTime64(3, 'UTC')}
    AND state != 'running'
    AND (empty({node:String}) OR query_runs.node = {node:String})
GROUP BY fingerprint
ORDER BY p95_ms DESC, fingerprint
LIMIT {limit:UInt32}
