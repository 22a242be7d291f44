SELECT uniqExact(payload) AS payloads, groupUniqArray(payload) AS list
FROM trial.events
WHERE day >= {since:Date}
FORMAT Null
