-- title: Memory over time
-- owner: on-call
-- budget: interactive
-- Memory of each source beside its limit. A straight climb that restarts do not end is a leak; `growth_forecast` says
-- when it is full.
-- Cost: two metrics of the raw signals, nothing else of them.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter source String = : only this source; empty for all
-- parameter limit UInt32 = 10000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of what came from
--     `from` on
-- column source text: what uses it
-- column memory_bytes bytes: on the average of the step
-- column memory_bytes_max bytes: the most in the step
-- column limit_bytes bytes: its limit; absent where it is not known
-- column used_share ratio: the most of the limit
WITH
    toIntervalSecond(if({bucket_s:UInt32} > 0, greatest({bucket_s:UInt32}, 60),
        toUInt32(greatest(60,
            60 * ceil(dateDiff('second', {from:DateTime64(3, 'UTC')},
                {until:DateTime64(3, 'UTC')}) / 12000))))) AS bucket,
    toStartOfInterval(toDateTime(timestamp, 'UTC'), bucket) AS step
SELECT
    toDateTime64(step, 3, 'UTC') AS time, toString(signals.source) AS source,
    round(avgIf(value, metric = 'memory_used_bytes')) AS memory_bytes,
    maxIf(value, metric = 'memory_used_bytes') AS memory_bytes_max,
    if(countIf(metric = 'memory_limit_bytes') = 0, NULL, maxIf(value, metric = 'memory_limit_bytes')) AS limit_bytes,
    round(memory_bytes_max / nullIf(limit_bytes, 0), 6) AS used_share
FROM {database}.signals
WHERE metric IN ('memory_used_bytes', 'memory_limit_bytes') AND timestamp >= {from:DateTime64(3, 'UTC')}
    AND timestamp < {until:DateTime64(3, 'UTC')}
    AND (empty({source:String}) OR signals.source = {source:String})
GROUP BY step, source
HAVING countIf(metric = 'memory_used_bytes') > 0
ORDER BY step, source
LIMIT {limit:UInt32}
