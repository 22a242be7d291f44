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
    (minute, subscription, client, client_version, service, route, status_class, requests, failures, resends, inserted_at)
SELECT
    toDateTime('2026-01-01 00:00:00', 'UTC') + 60 * intDiv(number * 43200, 300000) AS minute,
    concat('sub-', toString(cityHash64(number, 'subscription') % 500)) AS subscription,
    ['kameleo-cli', 'web', 'sdk'][cityHash64(number, 'client') % 3 + 1] AS client,
    concat('4.', toString(cityHash64(number, 'version') % 5)) AS client_version,
    ['gateway', 'profiles', 'billing'][cityHash64(number, 'service') % 3 + 1] AS service,
    concat('/v1/route-', toString(cityHash64(number, 'route') % 20)) AS route,
    2 AS status_class,
    1 + cityHash64(number, 'requests') % 50 AS requests,
    0 AS failures,
    0 AS resends,
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
