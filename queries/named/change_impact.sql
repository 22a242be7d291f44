-- title: Before and after each change
-- owner: on-call
-- budget: report
-- What each change of the range was followed by: `window_minutes` before it beside as long after it, over the requests
-- of its service or client. Windows end at `until` and where nothing is stored: both sides are told by the minute.
-- `requests_per_subscription_ratio` far above 1 is a release whose clients ask more for the same. Traffic of another
-- hour of the day differs as well: take small windows, and look at `traffic_over_time` before blaming a change. The
-- minute of the change itself is in neither window.
-- Cost: the days of the newest 50 changes (or `limit`) in the rollup.
-- parameter from DateTime64(3, 'UTC') = now-7d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter window_minutes UInt32 = 60: minutes on each side, 1,440 at most
-- parameter service String = : only this service or client; empty for all
-- parameter limit UInt32 = 50: most rows
-- column at time: when
-- column kind text: release, deploy, config or flag
-- column service text: the service or client
-- column version text: what it became
-- column title text: what was said of it
-- column minutes_before 1: minutes of the window before that are stored
-- column minutes_after 1: minutes of the window after that are stored and before `until`
-- column requests_per_minute_before requests/min: in those before; absent without any
-- column requests_per_minute_after requests/min: in those after; absent without any
-- column failure_share_before ratio: 5xx and 429
-- column failure_share_after ratio: 5xx and 429
-- column p95_ms_before ms: 95 of 100 took at most so long; absent without requests
-- column p95_ms_after ms: 95 of 100 took at most so long; absent without requests
-- column attempts_per_request_before ratio: requests over first attempts
-- column attempts_per_request_after ratio: requests over first attempts
-- column requests_per_subscription_before requests/min: of each that asked
-- column requests_per_subscription_after requests/min: of each that asked
-- column requests_per_subscription_ratio ratio: after over before; absent without requests before
WITH
    (counts, share) -> if(
        empty(counts), NULL,
        round(pow(2,
            (mapKeys(counts)[arrayFirstIndex(c -> c >= share * arraySum(mapValues(counts)),
                arrayCumSum(mapValues(counts)))] + 1) / 8), 1)
    ) AS percentile_ms,
    toInt32(least(greatest({window_minutes:UInt32}, 1), 1440)) AS window,
    (SELECT min(minute) FROM {database}.requests_by_minute) AS stored_from,
    least(
        (SELECT max(minute) + 60 FROM {database}.requests_by_minute),
        toStartOfMinute(toDateTime({until:DateTime64(3, 'UTC')}, 'UTC') + 59)
    ) AS stored_until,
    looked_at AS
    (
        SELECT
            timestamp AS at, toString(changes.kind) AS kind, toString(changes.service) AS name, version, title,
            toStartOfMinute(toDateTime(timestamp, 'UTC')) AS change_minute,
            toUInt32(greatest(0, dateDiff('minute', greatest(change_minute - toIntervalMinute(window), stored_from),
                least(change_minute, stored_until)))) AS minutes_before,
            toUInt32(greatest(0, dateDiff('minute', greatest(change_minute + 60, stored_from),
                least(change_minute + toIntervalMinute(window + 1), stored_until)))) AS minutes_after
        FROM {database}.changes
        WHERE changes.timestamp >= {from:DateTime64(3, 'UTC')} AND changes.timestamp < {until:DateTime64(3, 'UTC')}
            AND (empty({service:String}) OR changes.service = {service:String})
        ORDER BY at DESC, name, kind, version
        LIMIT {limit:UInt32}
    ),
    around AS
    (
        SELECT at, kind, name, version, title, place < 0 AS is_before, change_minute + toIntervalMinute(place) AS minute
        FROM looked_at
        ARRAY JOIN arrayFilter(place -> place != 0, range(-window, window + 1)) AS place
        WHERE minute >= stored_from AND minute < stored_until
    ),
    traffic AS
    (
        SELECT
            at, kind, name, version, is_before, sum(rows_of.requests) AS requests, sum(rows_of.failures) AS failures,
            requests / greatest(requests - sum(rows_of.resends), 1) AS attempts,
            percentile_ms(sumMap(duration_ms), 0.95) AS p95_ms, requests / uniqExact(subscription) AS by_subscription
        FROM
        (
            SELECT
                minute, subscription, requests, failures, resends, duration_ms,
                arrayJoin(if(service = client, [toString(service)], [toString(service), toString(client)])) AS name
            FROM {database}.requests_by_minute
            WHERE toDate(minute) IN (SELECT toDate(minute) FROM around) AND minute IN (SELECT minute FROM around)
                AND (service IN (SELECT name FROM looked_at) OR client IN (SELECT name FROM looked_at))
        ) AS rows_of
        INNER JOIN around ON around.name = rows_of.name AND around.minute = rows_of.minute
        GROUP BY at, kind, name, version, is_before
    )
SELECT
    looked_at.at AS at, looked_at.kind AS kind, looked_at.name AS service, looked_at.version AS version,
    any(looked_at.title) AS title, any(looked_at.minutes_before) AS minutes_before,
    any(looked_at.minutes_after) AS minutes_after,
    round(sumIf(requests, is_before) / nullIf(minutes_before, 0), 3) AS requests_per_minute_before,
    round(sumIf(requests, NOT is_before) / nullIf(minutes_after, 0), 3) AS requests_per_minute_after,
    round(sumIf(failures, is_before) / nullIf(sumIf(requests, is_before), 0), 6) AS failure_share_before,
    round(sumIf(failures, NOT is_before) / nullIf(sumIf(requests, NOT is_before), 0), 6) AS failure_share_after,
    maxIf(p95_ms, is_before) AS p95_ms_before, maxIf(p95_ms, NOT is_before) AS p95_ms_after,
    round(maxOrNullIf(attempts, is_before AND requests > 0), 3) AS attempts_per_request_before,
    round(maxOrNullIf(attempts, NOT is_before AND requests > 0), 3) AS attempts_per_request_after,
    round(maxOrNullIf(by_subscription, is_before AND requests > 0) / nullIf(minutes_before, 0), 4)
        AS requests_per_subscription_before,
    round(maxOrNullIf(by_subscription, NOT is_before AND requests > 0) / nullIf(minutes_after, 0), 4)
        AS requests_per_subscription_after,
    round(requests_per_subscription_after / requests_per_subscription_before, 3) AS requests_per_subscription_ratio
FROM looked_at
LEFT JOIN traffic
    ON traffic.at = looked_at.at AND traffic.kind = looked_at.kind AND traffic.name = looked_at.name
    AND traffic.version = looked_at.version
GROUP BY looked_at.at, looked_at.kind, looked_at.name, looked_at.version
ORDER BY at DESC, service, kind, version
