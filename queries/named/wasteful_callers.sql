-- title: Wasteful callers
-- owner: support
-- budget: report
-- Patterns that a customer could have cheaper, a row for each subscription and pattern: numbers, what to tell them,
--     and how many
-- requests it would save. Patterns may overlap, so their savings do not add up.
-- searches_per_start: more searches than starts, where one search for each start would do.
-- creates_one_by_one: many creates in a minute, where a batch would do.
-- no_reuse: something is made for almost every start, where it could be kept and used again.
-- polling_unchanged: GETs at a steady beat whose answers have the same status and size as the one before, or 304
--     (newest `raw_minutes`).
-- before_retry_after: the same again sooner than a 429 or 503 said, by the attribute `retry_after` (s) or else
--     `retry_after_s` (newest `raw_minutes`).
-- repeats_failed: more than one attempt for two requests on average.
-- Cost: the days of the range in the rollup twice, and `raw_minutes` of the raw requests, sorted in memory.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter search_routes String = SearchFingerprints: routes that search, with commas between
-- parameter start_routes String = StartProfile: routes that start or use something
-- parameter create_routes String = CreateProfile: routes that make something
-- parameter requests_min UInt32 = 100: requests that a pattern must have to be told
-- parameter creates_per_minute_min UInt32 = 30: creates of a minute that could have been a batch
-- parameter batch_size UInt32 = 50: what a batch would hold
-- parameter uses_per_thing UInt32 = 10: how often something made could be used
-- parameter retry_after_s UInt32 = 1: how long to stay away after a 429 or 503 that does not say, s
-- parameter raw_minutes UInt32 = 60: minutes of raw requests that are looked at, 1,440 at most
-- parameter limit UInt32 = 200: most rows
-- column pattern text: one of those above
-- column subscription text: whose
-- column requests requests: that the pattern consists of
-- column evidence text: the numbers, in words
-- column measure ratio: how far it goes: searches a start, creates in a minute, made for each start, unchanged share,
--     early share, attempts a request
-- column requests_saved requests: that would not have been made
-- column saved_share ratio: of what the pattern consists of
-- column advice text: what to tell the customer
WITH
    splitByChar(',', replaceAll({search_routes:String}, ' ', '')) AS search_names,
    splitByChar(',', replaceAll({start_routes:String}, ' ', '')) AS start_names,
    splitByChar(',', replaceAll({create_routes:String}, ' ', '')) AS create_names,
    greatest({batch_size:UInt32}, 1) AS batch,
    greatest({uses_per_thing:UInt32}, 1) AS uses,
    usage AS
    (
        SELECT
            subscription, sumIf(requests, has(search_names, route)) AS searches,
            sumIf(requests, has(start_names, route)) AS starts,
            sumIf(requests, has(create_names, route)) AS creates, sum(requests_by_minute.requests) AS all_requests,
            sum(requests_by_minute.resends) AS resends, sum(requests_by_minute.failures) AS failures
        FROM {database}.requests_by_minute
        WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
        AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
            AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
            AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
            AND caller = ''
        GROUP BY subscription
    ),
    create_bursts AS
    (
        SELECT subscription, sum(minute_creates) AS burst_creates, max(minute_creates) AS most, count() AS burst_minutes
        FROM
        (
            SELECT subscription, minute, sum(requests) AS minute_creates
            FROM {database}.requests_by_minute
            WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
            AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
                AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
                AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
                AND caller = '' AND has(create_names, route)
            GROUP BY subscription, minute
            HAVING minute_creates >= {creates_per_minute_min:UInt32}
        )
        GROUP BY subscription
    ),
    greatest({from:DateTime64(3, 'UTC')},
        {until:DateTime64(3, 'UTC')} - toIntervalMinute(least({raw_minutes:UInt32}, 1440))) AS raw_from,
    followed AS
    (
        SELECT
            subscription, route, method = 'GET' AS is_get, status, response_bytes,
            any(status) OVER earlier AS status_before,
            any(response_bytes) OVER earlier AS response_bytes_before,
            dateDiff('millisecond', any(timestamp) OVER earlier, timestamp) / 1000 AS pause_s,
            any(told_s) OVER earlier AS told_before_s
        FROM
        (
            SELECT
                subscription, toString(route) AS route, method, status, response_bytes, timestamp,
                coalesce(toFloat64OrNull(attributes['retry_after']), toFloat64({retry_after_s:UInt32})) AS told_s
            FROM {database}.requests
            WHERE toStartOfHour(timestamp) >= toStartOfHour(raw_from) AND timestamp >= raw_from
                AND timestamp < {until:DateTime64(3, 'UTC')} AND caller = ''
        )
        WINDOW earlier AS
        (
            PARTITION BY subscription, route ORDER BY timestamp, status, response_bytes
            ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING
        )
    ),
    polled AS
    (
        SELECT
            subscription, route, count() AS polls,
            countIf(status = 304 OR status = 200 AND status_before = 200
                AND response_bytes = response_bytes_before) AS unchanged,
            quantileExactIf(0.5)(pause_s, status_before > 0) AS pause_s_p50,
            quantileExactIf(0.9)(pause_s, status_before > 0) AS pause_s_p90
        FROM followed
        WHERE is_get AND NOT has(search_names, route)
        GROUP BY subscription, route
        HAVING polls >= {requests_min:UInt32} AND unchanged >= 0.8 * polls AND pause_s_p90 <= 2 * pause_s_p50
    ),
    early AS
    (
        SELECT subscription, countIf(status_before IN (429, 503)) AS told,
        countIf(status_before IN (429, 503) AND pause_s < told_before_s) AS too_early
        FROM followed
        GROUP BY subscription
        HAVING too_early >= {requests_min:UInt32}
    )
SELECT
    pattern, subscription, told.requests AS requests, evidence, round(told.measure, 3) AS measure,
    toUInt64(greatest(saved, 0)) AS requests_saved, round(requests_saved / greatest(requests, 1), 4) AS saved_share,
    advice
FROM
(
    SELECT
        'searches_per_start' AS pattern, subscription, searches AS requests, searches / greatest(starts, 1) AS measure,
        format('{} searches for {} starts', toString(searches), toString(starts)) AS evidence,
        searches - greatest(starts, 1) AS saved,
        'Keep what a search found and start from it: one search for each start is enough.' AS advice
    FROM usage
    WHERE searches >= {requests_min:UInt32} AND searches >= 2 * starts

    UNION ALL

    SELECT
        'creates_one_by_one', subscription, burst_creates, most,
        format('{} creates in {} minutes, up to {} in one', toString(burst_creates), toString(burst_minutes),
            toString(most)),
        burst_creates - ceil(burst_creates / batch),
        'Create in batches, or spread creation over the day.'
    FROM create_bursts
    WHERE burst_creates >= {requests_min:UInt32}

    UNION ALL

    SELECT
        'no_reuse', subscription, creates, creates / greatest(starts, 1),
        format('{} made for {} starts', toString(creates), toString(starts)),
        creates - ceil(creates / uses),
        'Keep a pool of what is made and start from it again, instead of making a new one for each start.'
    FROM usage
    WHERE creates >= {requests_min:UInt32} AND starts > 0 AND creates >= 0.8 * starts

    UNION ALL

    SELECT
        'polling_unchanged', subscription, sum(polls), sum(unchanged) / sum(polls),
        format('{} of {} answers of {} unchanged, asked for every {} s', toString(sum(unchanged)), toString(sum(polls)),
            argMax(route, (unchanged, route)), toString(round(argMax(pause_s_p50, (unchanged, route)), 1))),
        sum(unchanged),
        'Ask less often, or subscribe to events; send If-None-Match where the answer has an ETag.'
    FROM polled
    GROUP BY subscription

    UNION ALL

    SELECT
        'before_retry_after', subscription, told, too_early / told,
        format('{} of {} repeats after a 429 or 503 came too early', toString(too_early), toString(told)),
        too_early,
        'Wait as long as Retry-After says, with jitter: what comes earlier is refused again.'
    FROM early

    UNION ALL

    SELECT
        'repeats_failed', subscription, all_requests, all_requests / greatest(all_requests - resends, 1),
        format('{} of {} requests are repeats, {} failed', toString(resends), toString(all_requests),
            toString(failures)),
        resends,
        'At most 3 attempts, exponential back-off with jitter, and none for errors that stay.'
    FROM usage
    WHERE resends >= {requests_min:UInt32} AND all_requests >= 1.5 * (all_requests - resends)
) AS told
ORDER BY requests_saved DESC, pattern, subscription
LIMIT {limit:UInt32}
