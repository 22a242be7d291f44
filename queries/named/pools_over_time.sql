-- title: Pools over time
-- owner: on-call
-- budget: interactive
-- How full each pool is. `in_use` that never falls while the load does is a leak; `in_use` at `size` is exhaustion.
-- `outstanding` is what was taken and not given back, by the counters: it should come back to where it was.
-- Cost: five metrics of the raw signals, nothing else of them.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter source String = : only this pool; empty for all
-- parameter limit UInt32 = 10000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of what came from
--     `from` on
-- column source text: the pool
-- column size 1: places; absent where it is not said
-- column in_use 1: the most that were taken; absent where it is not said
-- column in_use_share ratio: of the places
-- column reserved 1: the most that were reserved; absent where it is not said
-- column outstanding 1: acquired less released; absent without the counters
WITH
    toIntervalSecond(if({bucket_s:UInt32} > 0, greatest({bucket_s:UInt32}, 60),
        toUInt32(greatest(60,
            60 * ceil(dateDiff('second', {from:DateTime64(3, 'UTC')},
                {until:DateTime64(3, 'UTC')}) / 12000))))) AS bucket,
    toStartOfInterval(toDateTime(timestamp, 'UTC'), bucket) AS step
SELECT
    toDateTime64(step, 3, 'UTC') AS time, toString(signals.source) AS source,
    maxOrNullIf(value, metric = 'pool_size') AS size, maxOrNullIf(value, metric = 'pool_in_use') AS in_use,
    round(in_use / nullIf(size, 0), 6) AS in_use_share, maxOrNullIf(value, metric = 'pool_reserved') AS reserved,
    argMaxOrNullIf(value, timestamp, metric = 'pool_acquired_total')
        - argMaxOrNullIf(value, timestamp, metric = 'pool_released_total') AS outstanding
FROM {database}.signals
WHERE metric IN ('pool_size', 'pool_in_use', 'pool_reserved', 'pool_acquired_total', 'pool_released_total')
    AND timestamp >= {from:DateTime64(3, 'UTC')} AND timestamp < {until:DateTime64(3, 'UTC')}
    AND (empty({source:String}) OR signals.source = {source:String})
GROUP BY step, source
ORDER BY step, source
LIMIT {limit:UInt32}
