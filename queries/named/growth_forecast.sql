-- title: Growth, and when it meets the limit
-- owner: capacity
-- budget: report
-- Daily peaks of memory (of each source) or of load (of each service, requests in its busiest minute), a line through
-- them, and the day on which the line meets the limit on the worst weekday. Only whole days count, three at least;
-- from fourteen days on weekdays are told apart. A fit below 0.5 is no trend. Nothing here knows what you are going to
-- release.
-- Cost: the days of the range: two metrics of the raw signals, or the rollup.
-- parameter from DateTime64(3, 'UTC') = now-28d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter of String = memory: memory or load
-- parameter subject String = : only this source or service; empty for all
-- parameter capacity Float64 = 0: the limit where none is known by itself, in bytes or requests/min; 0 for none
-- parameter limit UInt32 = 200: most rows
-- column subject text: the source or service
-- column unit text: unit of the values: bytes or requests/min
-- column days 1: whole days that were looked at
-- column first_value 1: where the line begins, in `unit`
-- column last_value 1: where it ends
-- column growth_per_day 1: its slope, in `unit` a day
-- column weekday_factor ratio: the worst weekday over an average one
-- column fit ratio: R² of the line
-- column limit_value 1: the limit, in `unit`; absent where none is known
-- column used_share ratio: the last peak of the limit
-- column days_left d: until the limit is met, from `until`; absent where it is not, or not within ten years
-- column limit_met_at time: when that is
WITH
    (SELECT throwIf({of:String} NOT IN ('memory', 'load'), 'of is memory or load')) AS is_refused,
    toStartOfDay(toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')) AS until_day,
    daily AS
    (
        SELECT
            toString(source) AS subject, 'bytes' AS unit, toDate(timestamp) AS day,
            maxIf(value, metric = 'memory_used_bytes') AS peak,
            argMaxOrNullIf(value, timestamp, metric = 'memory_limit_bytes') AS own_limit
        FROM {database}.signals
        WHERE {of:String} = 'memory' AND metric IN ('memory_used_bytes', 'memory_limit_bytes')
        AND timestamp >= {from:DateTime64(3, 'UTC')} AND timestamp < {until:DateTime64(3, 'UTC')}
            AND (empty({subject:String}) OR source = {subject:String})
        GROUP BY subject, day
        HAVING countIf(metric = 'memory_used_bytes') > 0

        UNION ALL

        SELECT subject, 'requests/min' AS unit, toDate(minute) AS day, toFloat64(max(minute_requests)) AS peak,
        NULL AS own_limit
        FROM
        (
            SELECT toString(service) AS subject, minute, sum(requests) AS minute_requests
            FROM {database}.requests_by_minute
            WHERE toDate(minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC')
                    AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
                AND minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
                AND minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
                AND {of:String} = 'load' AND (empty({subject:String}) OR service = {subject:String})
            GROUP BY subject, minute
        )
        GROUP BY subject, day
    ),
    whole_days AS
    (
        SELECT subject, unit, peak, own_limit, day,
        dateDiff('day', toDate({until:DateTime64(3, 'UTC')}, 'UTC'), day) + 0.5 AS x
        FROM daily
        WHERE toDateTime64(day, 3, 'UTC') >= {from:DateTime64(3, 'UTC')}
            AND toDateTime64(day + 1, 3, 'UTC') <= {until:DateTime64(3, 'UTC')}
    ),
    with_line AS
    (
        SELECT *, simpleLinearRegression(x, peak) OVER (PARTITION BY subject) AS line,
        count() OVER (PARTITION BY subject) AS all_days
        FROM whole_days
    ),
    with_season AS
    (
        SELECT
            *,
            -- What a weekday is beside the line, not beside the mean: growth inside a week is no season.
            if(all_days < 14, 1,
                avg(peak / greatest(line.1 * x + line.2, 1e-9)) OVER (PARTITION BY subject, toDayOfWeek(day))) AS season
        FROM with_line
    ),
    fitted AS
    (
        SELECT
            subject, any(with_season.unit) AS unit, count() AS days,
            simpleLinearRegression(x, peak / greatest(season, 1e-9)) AS trend,
            pow(corr(x, peak / greatest(season, 1e-9)), 2) AS r2, max(season) AS factor, min(x) AS first_x,
            max(x) AS last_x,
            argMax(peak, x) AS last_peak,
            coalesce(argMax(own_limit, (own_limit IS NOT NULL, x)), nullIf({capacity:Float64}, 0)) AS known_limit
        FROM with_season
        GROUP BY subject
        HAVING days >= 3
    ),
    met AS
    (
        SELECT
            *,
            -- x counts from the midnight before `until`.
            (known_limit / factor - trend.2) / trend.1
                - dateDiff('millisecond', toDateTime64(until_day, 3, 'UTC'), {until:DateTime64(3, 'UTC')}) / 86400000
                AS days_to_limit
        FROM fitted
        WHERE is_refused = 0
    )
SELECT
    subject, unit, days, round(trend.1 * first_x + trend.2, 1) AS first_value,
    round(trend.1 * last_x + trend.2, 1) AS last_value,
    round(trend.1, 3) AS growth_per_day, round(factor, 4) AS weekday_factor, if(isNaN(r2), 1, round(r2, 4)) AS fit,
    known_limit AS limit_value, round(last_peak / known_limit, 4) AS used_share,
    if(trend.1 > 0 AND days_to_limit <= 3650, round(greatest(0, days_to_limit), 2), NULL) AS days_left,
    -- Both sides are computed whatever the condition is: without it a number beyond any calendar would fail.
    if(
        days_left IS NULL, NULL,
        {until:DateTime64(3, 'UTC')} + toIntervalSecond(toUInt32(least(greatest(ifNull(days_to_limit, 0), 0), 3650) * 86400))
    ) AS limit_met_at
FROM met
ORDER BY days_left IS NULL, days_left, used_share DESC, subject
LIMIT {limit:UInt32}
