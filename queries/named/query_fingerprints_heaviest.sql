-- title: Heaviest query fingerprints
-- owner: on-call
-- budget: interactive
-- Which ClickHouse queries take most memory and read most. The first rows are what an incident of memory is made of:
-- give them a budget in CI (`floodmark guard preflight`) or a limit in the guard's policy.
-- Cost: the days of the range in the raw query runs.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter node String = : only this server; empty for all
-- parameter limit UInt32 = 50: most rows
-- column fingerprint text: the query without its values
-- column example text: the beginning of one of them
-- column origin text: which feature or dashboard asks most
-- column runs 1: how many ended
-- column failed 1: that failed or were killed
-- column memory_bytes_p95 bytes: 95 of 100 took at most so much
-- column memory_bytes_max bytes: the most
-- column read_rows rows: by all its runs
-- column read_bytes bytes: by all its runs
-- column share_of_read ratio: of what all queries read
SELECT
    query_runs.fingerprint AS fingerprint, substringUTF8(argMax(query, (memory_bytes, query)), 1, 300) AS example,
    toString(topKWeighted(1)(query_runs.origin, 1)[1]) AS origin, count() AS runs,
    countIf(state != 'finished') AS failed,
    quantileExact(0.95)(memory_bytes) AS memory_bytes_p95, max(memory_bytes) AS memory_bytes_max,
    sum(query_runs.read_rows) AS read_rows, sum(query_runs.read_bytes) AS read_bytes,
    round(read_bytes / greatest(sum(read_bytes) OVER (), 1), 6) AS share_of_read
FROM {database}.query_runs
WHERE query_runs.timestamp >= {from:DateTime64(3, 'UTC')} AND query_runs.timestamp < {until:DateTime64(3, 'UTC')}
    AND state != 'running'
    AND (empty({node:String}) OR query_runs.node = {node:String})
GROUP BY fingerprint
ORDER BY memory_bytes_max DESC, fingerprint
LIMIT {limit:UInt32}
