-- The first day. 20,000 subscriptions, of which few make most of the traffic; one hash a row, cut into pieces.
INSERT INTO {database}.requests_by_minute
    (minute, subscription, client, client_version, service, route, status_class, requests, failures, resends,
     attempts_known, response_bytes, duration_ms, inserted_at)
WITH sipHash64(number) AS dice, toUInt32(pow(dice % 1000000 / 1000000, 2) * 20000) AS subscriber
SELECT
    toDateTime('2026-03-01 00:00:00', 'UTC') + 60 * intDiv(number * 1440, {rows}) AS minute,
    concat('sub-', toString(subscriber)) AS subscription,
    ['kameleo-cli', 'web', 'sdk'][subscriber % 3 + 1] AS client,
    concat('4.', toString(intDiv(subscriber, 3) % 5)) AS client_version,
    ['api', 'profiles', 'billing'][bitShiftRight(dice, 24) % 3 + 1] AS service,
    ['SearchFingerprints', 'StartProfile', 'CreateProfile', 'GetProfile', 'ListProfiles', 'SaveCookies', 'GetUserInfo',
     'StopProfile'][bitShiftRight(dice, 28) % 8 + 1] AS route,
    if(bitShiftRight(dice, 32) % 100 = 0, 5, 2) AS status_class,
    1 + bitShiftRight(dice, 40) % 20 AS requests,
    if(status_class = 5, requests, 0) AS failures,
    if(client_version = '4.1', intDiv(requests, 2), 0) AS resends,
    requests AS attempts_known,
    requests * 2000 AS response_bytes,
    map(toInt16(40 + bitShiftRight(dice, 48) % 20), intDiv(requests + 1, 2), toInt16(62 + number % 6), intDiv(requests, 2))
        AS duration_ms,
    minute + 60 AS inserted_at
FROM numbers({rows})
SETTINGS max_execution_time = 0, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 0;

-- Of the raw requests there are a tenth as many.
INSERT INTO {database}.requests
    (timestamp, subscription, client, client_version, service, method, route, status, duration_ms, response_bytes, attempt,
     _topic, _partition, _offset, inserted_at)
WITH sipHash64(number) AS dice, toUInt32(pow(dice % 1000000 / 1000000, 2) * 20000) AS subscriber
SELECT
    toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 86400 * number / intDiv({rows}, 10) AS timestamp,
    concat('sub-', toString(subscriber)) AS subscription,
    'kameleo-cli' AS client,
    concat('4.', toString(intDiv(subscriber, 3) % 5)) AS client_version,
    'api' AS service,
    if(number % 2 = 0, 'GET', 'POST') AS method,
    ['SearchFingerprints', 'StartProfile', 'CreateProfile', 'GetProfile'][bitShiftRight(dice, 24) % 4 + 1] AS route,
    if(bitShiftRight(dice, 32) % 100 = 0, 503, 200) AS status,
    bitShiftRight(dice, 40) % 900 AS duration_ms,
    2000 + bitShiftRight(dice, 52) % 3 AS response_bytes,
    1 AS attempt,
    'requests' AS _topic,
    0 AS _partition,
    number AS _offset,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers(intDiv({rows}, 10))
SETTINGS max_execution_time = 0;

-- Fifty sources, every ten seconds.
INSERT INTO {database}.signals (timestamp, source, metric, value, _topic, inserted_at)
SELECT
    toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 10 * intDiv(number, 250) AS timestamp,
    concat(if(number % 5 < 2, 'container/api-', 'pool/sessions-'), toString(intDiv(number, 5) % 50)) AS source,
    ['memory_used_bytes', 'memory_limit_bytes', 'pool_size', 'pool_in_use', 'pool_acquired_total'][number % 5 + 1] AS metric,
    if(metric = 'memory_limit_bytes', 2e9, if(metric = 'pool_size', 100, 5e8 + number % 1000)) AS value,
    '' AS _topic,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers(2160000);

-- A query a second.
INSERT INTO {database}.query_runs
    (timestamp, node, query, fingerprint, origin, state, duration_ms, memory_bytes, read_rows, read_bytes, inserted_at)
SELECT
    toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + number AS timestamp,
    concat('node-', toString(number % 3)) AS node,
    concat('SELECT count() FROM sessions WHERE site = ', toString(number), repeat(' AND visits > 3', 10)) AS query,
    hex(cityHash64(number % 500, 'fingerprint')) AS fingerprint,
    ['funnel', 'heatmap', 'export'][cityHash64(number % 500, 'origin') % 3 + 1] AS origin,
    if(cityHash64(number, 'state') % 100 = 0, 'failed', 'finished') AS state,
    cityHash64(number, 'duration') % 9000 AS duration_ms,
    1000000 * (1 + cityHash64(number, 'memory') % 500) AS memory_bytes,
    1000 * (cityHash64(number, 'rows') % 9000) AS read_rows,
    20 * read_rows AS read_bytes,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers(86400);

-- each further day
-- The same day again, {day} days later. Qualified: a replaced column has its new value everywhere else.
INSERT INTO {database}.requests_by_minute
SELECT * REPLACE (minute + 86400 * {day} AS minute, inserted_at + 86400 * {day} AS inserted_at)
FROM {database}.requests_by_minute
WHERE toDate(requests_by_minute.minute) = '2026-03-01'
SETTINGS max_execution_time = 0, min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 0;

INSERT INTO {database}.requests
SELECT * REPLACE (
    timestamp + toIntervalDay({day}) AS timestamp, inserted_at + 86400 * {day} AS inserted_at,
    _offset + intDiv({rows}, 10) * {day} AS _offset
)
FROM {database}.requests
WHERE requests.timestamp < '2026-03-02 00:00:00'
SETTINGS max_execution_time = 0;

INSERT INTO {database}.signals
SELECT * REPLACE (
    timestamp + toIntervalDay({day}) AS timestamp, inserted_at + 86400 * {day} AS inserted_at,
    value + if(metric = 'memory_used_bytes', 1e7 * {day}, 0) AS value
)
FROM {database}.signals
WHERE signals.timestamp < '2026-03-02 00:00:00';

INSERT INTO {database}.query_runs
SELECT * REPLACE (timestamp + toIntervalDay({day}) AS timestamp, inserted_at + 86400 * {day} AS inserted_at)
FROM {database}.query_runs
WHERE query_runs.timestamp < '2026-03-02 00:00:00';

-- once
INSERT INTO {database}.ingest_ledger
    (topic, epoch, partition, offset_start, offset_end, messages, rows, dead_lettered, control, inserted_at)
SELECT
    'requests', 'seed', 0, intDiv({rows}, 10) * number, intDiv({rows}, 10) * (number + 1), intDiv({rows}, 10),
    intDiv({rows}, 10), 0, 0, toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 86400 * (number + 1)
FROM numbers(30);

INSERT INTO {database}.changes (timestamp, kind, service, version, title)
SELECT
    toDateTime64('2026-03-01 00:30:00', 3, 'UTC') + 14400 * number, ['deploy', 'release'][number % 2 + 1],
    ['api', 'kameleo-cli', 'profiles', 'sdk'][number % 4 + 1], concat('4.', toString(number)), 'made by the seed'
FROM numbers(178);

INSERT INTO {database}.alert_transitions
    (at, event, alert, severity, incident, since, labels, value, baseline, unit, causes, summary)
SELECT
    toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 60 * number AS at, ['pending', 'firing', 'resolved'][number % 3 + 1],
    ['RetryAmplification', 'ErrorBudgetBurn', 'PoolLeak'][intDiv(number, 3) % 3 + 1], 'critical',
    concat('incident-', toString(intDiv(number, 30))), at - 60, '{"client":"kameleo-cli"}', 10, 1, 'attempts per request',
    repeat('{"share":0.5}', 20), 'made by the seed'
FROM numbers(43200);

INSERT INTO {database}.incidents (incident, started_at, ended_at, severity, alerts, causes, affected_subscriptions, summary)
SELECT
    concat('incident-', toString(number)), toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 1800 * number AS started_at,
    started_at + 600, 'critical', '["RetryAmplification"]', repeat('{"share":0.5}', 20), number % 50, 'made by the seed'
FROM numbers(1440);

INSERT INTO {database}.pages (dedup_key, revision, event, severity, reason, title, at, since, said_at, page)
SELECT
    concat('page-', toString(intDiv(number, 3))), 1 + number % 3, ['opened', 'updated', 'resolved'][1 + number % 3],
    'critical', 'fired', 'made by the seed', said_at, said_at - 60,
    toDateTime64('2026-03-01 00:00:00', 3, 'UTC') + 60 * number AS said_at, repeat('{"share":0.5}', 200)
FROM numbers(43200)
