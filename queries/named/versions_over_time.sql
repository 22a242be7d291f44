-- title: Client versions over time
-- owner: on-call
-- budget: interactive
-- Load and attempts per request of each client version as curves; the eight with most requests in the range. The
-- picture of a retry storm: one version leaves the others.
-- Cost: the days of the range in the rollup, read twice.
-- parameter from DateTime64(3, 'UTC') = now-6h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter bucket_s UInt32 = 0: width of a step, s, of at least a minute; 0 for about two hundred steps
-- parameter client String = : only this client; empty for all
-- parameter limit UInt32 = 5000: most rows
-- column time time: beginning of the step; that of the first may be before `from`, and then it is of the minutes from
--     `from` on
-- column version text: client and its version
-- column requests requests: how many in the step
-- column requests_per_second requests/s: on the average of the step's minutes that are in the range
-- column resends requests: not the first attempt
-- column attempts_per_request ratio: requests over first attempts; 1 where no attempt is known
-- column failure_share ratio: of its requests
WITH
    toIntervalSecond(if({bucket_s:UInt32} > 0, greatest({bucket_s:UInt32}, 60),
        toUInt32(greatest(60,
            60 * ceil(dateDiff('second', {from:DateTime64(3, 'UTC')},
                {until:DateTime64(3, 'UTC')}) / 12000))))) AS bucket,
    toStartOfInterval(minute, bucket) AS step,
    -- Its minutes that are read: those that begin in the range.
    dateDiff('second', toStartOfMinute(greatest(step, toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')) + 59),
        toStartOfMinute(least(step + bucket, toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')) + 59)) AS covered_s
SELECT
    toDateTime64(step, 3, 'UTC') AS time, trim(concat(client, ' ', client_version)) AS version,
    sum(requests_by_minute.requests) AS requests,
    round(requests / covered_s, 4) AS requests_per_second,
    sum(requests_by_minute.resends) AS resends,
    round(requests / greatest(requests - resends, 1), 3) AS attempts_per_request,
    round(sum(failures) / greatest(requests, 1), 6) AS failure_share
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
    AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
    AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
    AND caller = ''
    AND (empty({client:String}) OR requests_by_minute.client = {client:String})
    AND (client, client_version) IN
    (
        SELECT client, client_version FROM {database}.requests_by_minute
        WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
                AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
            AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
            AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
            AND caller = ''
            AND (empty({client:String}) OR requests_by_minute.client = {client:String})
        GROUP BY client, client_version
        ORDER BY sum(requests_by_minute.requests) DESC, client, client_version
        LIMIT 8
    )
GROUP BY step, version
ORDER BY step, version
LIMIT {limit:UInt32}
