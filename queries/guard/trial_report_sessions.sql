SELECT session, any(payload) AS first, groupArray(feature) AS features, groupArray(timestamp) AS path
FROM trial.events
WHERE day >= {since:Date}
GROUP BY session
ORDER BY length(path) DESC, session
LIMIT 100
FORMAT JSONEachRow
