-- What `floodmark guard preflight queries/named` fills the tables with: {scale} times a week of requests, a month of the
-- rollup and the ledger of both. More data is more days, as it is in production: a query of a fixed range reads no more
-- of it. Without chance or clock: the same rows each time.
INSERT INTO {database}.requests
    (timestamp, subscription, client, client_version, service, method, route, status, duration_ms, attempt, _topic,
     _partition, _offset, _index, inserted_at)
SELECT
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 100000) AS timestamp,
    concat('sub-', toString(cityHash64(number, 'subscription') % 500)) AS subscription,
    ['kameleo-cli', 'web', 'sdk'][cityHash64(number, 'client') % 3 + 1] AS client,
    concat('4.', toString(cityHash64(number, 'version') % 5)) AS client_version,
    ['gateway', 'profiles', 'billing'][cityHash64(number, 'service') % 3 + 1] AS service,
    'GET' AS method,
    concat('/v1/route-', toString(cityHash64(number, 'route') % 20)) AS route,
    if(cityHash64(number, 'status') % 100 = 0, 503, 200) AS status,
    cityHash64(number, 'duration') % 900 AS duration_ms,
    1 AS attempt,
    'requests' AS _topic,
    number % 4 AS _partition,
    intDiv(number, 4) AS _offset,
    0 AS _index,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers({scale} * 100000)
SETTINGS max_partitions_per_insert_block = 0;

INSERT INTO {database}.requests_by_minute
    (minute, subscription, client, client_version, service, route, status_class, requests, failures, resends,
     attempts_known, duration_ms, inserted_at)
SELECT
    toDateTime('2026-01-01 00:00:00', 'UTC') + 60 * intDiv(number * 43200, 300000) AS minute,
    concat('sub-', toString(cityHash64(number, 'subscription') % 500)) AS subscription,
    ['kameleo-cli', 'web', 'sdk'][cityHash64(number, 'client') % 3 + 1] AS client,
    concat('4.', toString(cityHash64(number, 'version') % 5)) AS client_version,
    ['gateway', 'profiles', 'billing'][cityHash64(number, 'service') % 3 + 1] AS service,
    concat('/v1/route-', toString(cityHash64(number, 'route') % 20)) AS route,
    if(cityHash64(number, 'status') % 50 = 0, 5, 2) AS status_class,
    1 + cityHash64(number, 'requests') % 50 AS requests,
    if(status_class = 5, requests, 0) AS failures,
    if(client = 'kameleo-cli', intDiv(requests, 2), 0) AS resends,
    requests AS attempts_known,
    map(toInt16(40 + cityHash64(number, 'duration') % 30), requests) AS duration_ms,
    minute + 60 AS inserted_at
FROM numbers({scale} * 300000);

-- Ranges of 50 offsets, each stored whole.
INSERT INTO {database}.ingest_ledger
    (topic, epoch, partition, offset_start, offset_end, messages, rows, dead_lettered, control, inserted_at)
SELECT
    'requests' AS topic,
    'seed' AS epoch,
    number % 4 AS partition,
    intDiv(number, 4) * 50 AS offset_start,
    offset_start + 50 AS offset_end,
    50 AS messages,
    50 AS rows,
    0 AS dead_lettered,
    0 AS control,
    toDateTime64('2026-01-01 00:00:06', 3, 'UTC') + intDiv(number * 604800, 2000) AS inserted_at
FROM numbers({scale} * 2000);

INSERT INTO {database}.pages
    (dedup_key, revision, event, severity, reason, title, at, since, resolved_at, said_at, page, inserted_at)
SELECT
    concat('page-', toString(intDiv(number, 3))) AS dedup_key,
    1 + number % 3 AS revision,
    ['opened', 'updated', 'resolved'][1 + number % 3] AS event,
    'critical' AS severity,
    'fired' AS reason,
    '[CRITICAL] kameleo-cli 4.0.0: repeats failed requests' AS title,
    said_at AS at,
    said_at - 60 AS since,
    toDateTime64(0, 3, 'UTC') AS resolved_at,
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 50000) AS said_at,
    repeat('{"share":0.5}', 200) AS page,
    said_at AS inserted_at
FROM numbers({scale} * 50000);

-- A week: twenty sources that tell their memory each ten seconds or so, and pools.
INSERT INTO {database}.signals (timestamp, source, metric, value, _topic, _offset, inserted_at)
SELECT
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 200000) AS timestamp,
    concat(if(number % 2 = 0, 'container/api-', 'pool/sessions-'), toString(number % 20)) AS source,
    if(
        number % 2 = 0, ['memory_used_bytes', 'memory_limit_bytes', 'restarts_total'],
        ['pool_size', 'pool_in_use', 'pool_acquired_total']
    )[intDiv(number, 20) % 3 + 1] AS metric,
    if(metric = 'memory_limit_bytes', 2000000000, 1000 * (number + cityHash64(number, 'value') % 1000)) AS value,
    'signals' AS _topic,
    number AS _offset,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers({scale} * 200000)
SETTINGS max_partitions_per_insert_block = 0;

INSERT INTO {database}.changes (timestamp, kind, service, version, title, _topic, _offset, inserted_at)
SELECT
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 70) AS timestamp,
    ['deploy', 'release'][number % 2 + 1] AS kind,
    ['gateway', 'kameleo-cli', 'profiles', 'sdk'][number % 4 + 1] AS service,
    concat('4.', toString(number)) AS version,
    'made by the seed' AS title,
    'changes' AS _topic,
    number AS _offset,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers({scale} * 70);

INSERT INTO {database}.query_runs
    (timestamp, node, query, fingerprint, user, origin, state, duration_ms, memory_bytes, read_rows, read_bytes, _topic,
     _offset, inserted_at)
SELECT
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 50000) AS timestamp,
    concat('node-', toString(number % 3)) AS node,
    concat('SELECT count() FROM sessions WHERE site = ', toString(number), repeat(' AND visits > 3', 10)) AS query,
    hex(cityHash64(number % 200, 'fingerprint')) AS fingerprint,
    'dashboards' AS user,
    ['funnel', 'heatmap', 'export'][cityHash64(number % 200, 'origin') % 3 + 1] AS origin,
    if(cityHash64(number, 'state') % 100 = 0, 'failed', 'finished') AS state,
    cityHash64(number, 'duration') % 9000 AS duration_ms,
    1000000 * (1 + cityHash64(number, 'memory') % 500) AS memory_bytes,
    1000 * (cityHash64(number, 'rows') % 9000) AS read_rows,
    20 * read_rows AS read_bytes,
    'queries' AS _topic,
    number AS _offset,
    toDateTime(timestamp, 'UTC') + 5 AS inserted_at
FROM numbers({scale} * 50000)
SETTINGS max_partitions_per_insert_block = 0;

INSERT INTO {database}.alert_transitions
    (at, event, alert, severity, incident, since, labels, value, baseline, unit, causes, summary, inserted_at)
SELECT
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 20000) AS at,
    ['pending', 'firing', 'resolved'][number % 3 + 1] AS event,
    ['RetryAmplification', 'ErrorBudgetBurn', 'PoolLeak'][intDiv(number, 3) % 3 + 1] AS alert,
    'critical' AS severity,
    concat('incident-', toString(intDiv(number, 30))) AS incident,
    at - 60 AS since,
    '{"client":"kameleo-cli"}' AS labels,
    10 AS value,
    1 AS baseline,
    'attempts per request' AS unit,
    repeat('{"share":0.5}', 20) AS causes,
    'made by the seed' AS summary,
    at AS inserted_at
FROM numbers({scale} * 20000);

INSERT INTO {database}.incidents
    (incident, started_at, ended_at, severity, alerts, causes, affected_subscriptions, summary, inserted_at)
SELECT
    concat('incident-', toString(number)) AS incident,
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number * 604800, 600) AS started_at,
    started_at + 600 AS ended_at,
    'critical' AS severity,
    '["RetryAmplification"]' AS alerts,
    repeat('{"share":0.5}', 20) AS causes,
    number % 50 AS affected_subscriptions,
    'made by the seed' AS summary,
    started_at AS inserted_at
FROM numbers({scale} * 600);
