INSERT INTO trial.events
SELECT
    toDate('2026-05-01') + intDiv(number, 400000) AS day,
    toDateTime(day) + number % 86400 AS timestamp,
    cityHash64(number) % 5000 AS customer,
    ['login', 'search', 'create', 'start', 'export'][number % 5 + 1] AS feature,
    cityHash64(number, 'session') AS session,
    concat('profile-', toString(cityHash64(number, 'a')), '-', hex(cityHash64(number, 'b')), '-', hex(cityHash64(number, 'c'))) AS payload
FROM numbers({first:UInt64}, {rows:UInt64})
