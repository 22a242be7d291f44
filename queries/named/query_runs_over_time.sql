-- title: ClickHouse queries over time
-- owner: on-call
-- budget: interactive
-- What the watched ClickHouse servers do: queries that ended, failed and were killed, their memory, what they read,
-- how long they took.
-- Cost: the days of the range in the raw query runs, without their texts.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter node String = : only this server; empty for all
-- parameter limit UInt32 = 5000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of what came from
--     `from` on
-- column node text: the server
-- column runs 1: queries that ended
-- column failed 1: that failed
-- column killed 1: that were killed
-- column p95_ms ms: 95 of 100 took at most so long
-- column memory_bytes_max bytes: the most that one took
-- column read_bytes bytes: by all of them
WITH
    toIntervalSecond(if({bucket_s:UInt32} > 0, greatest({bucket_s:UInt32}, 60),
        toUInt32(greatest(60,
            60 * ceil(dateDiff('second', {from:DateTime64(3, 'UTC')},
                {until:DateTime64(3, 'UTC')}) / 12000))))) AS bucket,
    toStartOfInterval(toDateTime(timestamp, 'UTC'), bucket) AS step
SELECT
    toDateTime64(step, 3, 'UTC') AS time, toString(query_runs.node) AS node, count() AS runs,
    countIf(state = 'failed') AS failed, countIf(state = 'killed') AS killed,
    round(quantileExact(0.95)(duration_ms), 1) AS p95_ms, max(memory_bytes) AS memory_bytes_max,
    sum(query_runs.read_bytes) AS read_bytes
FROM {database}.query_runs
WHERE query_runs.timestamp >= {from:DateTime64(3, 'UTC')} AND query_runs.timestamp < {until:DateTime64(3, 'UTC')}
    AND state != 'running'
    AND (empty({node:String}) OR query_runs.node = {node:String})
GROUP BY step, node
ORDER BY step, node
LIMIT {limit:UInt32}
