-- title: Wasteful callers
-- owner: support
-- budget: report
-- Patterns that a customer could have cheaper, a row for each subscription and pattern: numbers, what to tell them,
-- and how many requests it would save. Patterns may overlap, so their savings do not add up.
-- searches_per_start: more searches than starts, where one search for each start would do.
-- creates_one_by_one: many creates in a minute, where a batch would do.
-- no_reuse: something is made for almost every start, where it could be kept and used again.
-- polling_unchanged: GETs at a steady beat whose answers have the same status and size as the one before, or 304
--     (newest `raw_minutes`).
-- before_retry_after: the same again sooner than a 429 or 503 said, by the attribute `retry_after` (s) or else
--     `retry_after_s` (newest `raw_minutes`).
-- repeats_failed: three attempts for two requests, or more.
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
    arrayMap(name -> trim(name), splitByChar(',', {search_routes:String})) AS search_names,
    arrayMap(name -> trim(name), splitByChar(',', {start_routes:String})) AS start_names,
    arrayMap(name -> trim(name), splitByChar(',', {create_routes:String})) AS create_names,
    greatest({batch_size:UInt32}, 1) AS batch,
    greatest({uses_per_thing:UInt32}, 1) AS uses,
    usage AS
    (
        SELECT
            subscription,
            -- Repeats are another pattern.
            toUInt64(sumIf(requests_by_minute.requests - requests_by_minute.resends, has(search_names, route))) AS searches,
            toUInt64(sumIf(requests_by_minute.requests - requests_by_minute.resends, has(start_names, route))) AS starts,
            toUInt64(sumIf(requests_by_minute.requests - requests_by_minute.resends, has(create_names, route))) AS creates,
            sum(requests_by_minute.requests) AS all_requests, sum(requests_by_minute.resends) AS resends,
            sum(requests_by_minute.failures) AS failures
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
            -- Repeats are another pattern.
            SELECT subscription, minute, toUInt64(sum(requests) - sum(resends)) AS minute_creates
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
    by_route AS
    (
        SELECT
            subscription, route, countIf(is_get) AS polls, countIf(status_before IN (429, 503)) AS told,
            countIf(
                is_get AND (status = 304 OR status = 200 AND status_before = 200 AND response_bytes = response_bytes_before)
            ) AS unchanged,
            countIf(status_before IN (429, 503) AND pause_s < told_before_s) AS too_early,
            quantileExactIf(0.5)(pause_s, status_before > 0) AS pause_s_p50,
            quantileExactIf(0.9)(pause_s, status_before > 0) AS pause_s_p90,
            NOT has(search_names, route) AND polls >= {requests_min:UInt32} AND unchanged >= 0.8 * polls
                AND pause_s_p90 <= 2 * pause_s_p50 AS is_polled
        FROM followed
        GROUP BY subscription, route
    ),
    by_answers AS
    (
        SELECT
            subscription, sumIf(polls, is_polled) AS polled, sumIf(unchanged, is_polled) AS polled_unchanged,
            argMaxIf(route, (unchanged, route), is_polled) AS polled_route,
            argMaxIf(pause_s_p50, (unchanged, route), is_polled) AS polled_pause_s, sum(by_route.told) AS all_told,
            sum(by_route.too_early) AS all_too_early
        FROM by_route
        GROUP BY subscription
    )
SELECT
    pattern, subscription, found.requests AS requests, evidence, round(found.measure, 3) AS measure,
    toUInt64(greatest(saved, 0)) AS requests_saved, round(requests_saved / greatest(requests, 1), 4) AS saved_share,
    advice
FROM
(
    -- One scan tells several patterns: each is a tuple, and those that hold are kept.
    SELECT
        subscription,
        arrayJoin([
            (
                'searches_per_start', searches >= {requests_min:UInt32} AND searches >= 2 * starts, searches,
                searches / greatest(starts, 1), toFloat64(searches) - greatest(starts, 1),
                format('{} searches for {} starts', toString(searches), toString(starts)),
                'Keep what a search found and start from it: one search for each start is enough.'
            ),
            (
                'no_reuse', creates >= {requests_min:UInt32} AND starts > 0 AND creates >= 0.8 * starts, creates,
                creates / greatest(starts, 1), toFloat64(creates) - ceil(creates / uses),
                format('{} made for {} starts', toString(creates), toString(starts)),
                'Keep a pool of what is made and start from it again, instead of making a new one for each start.'
            ),
            (
                'repeats_failed',
                resends >= {requests_min:UInt32} AND all_requests >= 1.5 * (all_requests - resends), all_requests,
                all_requests / greatest(all_requests - resends, 1), toFloat64(resends),
                format('{} of {} requests are repeats, {} failed', toString(resends), toString(all_requests),
                    toString(failures)),
                'At most 3 attempts, exponential back-off with jitter, and none for errors that stay.'
            )
        ]) AS told,
        told.1 AS pattern, told.2 AS holds, told.3 AS requests, told.4 AS measure, told.5 AS saved, told.6 AS evidence,
        told.7 AS advice
    FROM usage
    WHERE holds

    UNION ALL

    SELECT
        subscription,
        (
            'creates_one_by_one', burst_creates >= {requests_min:UInt32}, burst_creates, toFloat64(most),
            toFloat64(burst_creates) - ceil(burst_creates / batch),
            format('{} creates in {} minutes, up to {} in one', toString(burst_creates), toString(burst_minutes),
                toString(most)),
            'Create in batches, or spread creation over the day.'
        ) AS told,
        told.1, told.2, told.3, told.4, told.5, told.6, told.7
    FROM create_bursts
    WHERE told.2

    UNION ALL

    SELECT
        subscription,
        arrayJoin([
            (
                'polling_unchanged', polled > 0, polled, polled_unchanged / polled, toFloat64(polled_unchanged),
                format('{} of {} answers of {} unchanged, asked for every {} s', toString(polled_unchanged),
                    toString(polled), polled_route, toString(round(polled_pause_s, 1))),
                'Ask less often, or subscribe to events; send If-None-Match where the answer has an ETag.'
            ),
            (
                'before_retry_after', all_too_early >= {requests_min:UInt32} AND all_too_early > 0, all_told,
                all_too_early / all_told, toFloat64(all_too_early),
                format('{} of {} repeats after a 429 or 503 came too early', toString(all_too_early), toString(all_told)),
                'Wait as long as Retry-After says, with jitter: what comes earlier is refused again.'
            )
        ]) AS told,
        told.1, told.2, told.3, told.4, told.5, told.6, told.7
    FROM by_answers
    WHERE told.2
) AS found
ORDER BY requests_saved DESC, pattern, subscription
LIMIT {limit:UInt32}
