SELECT toStartOfHour(timestamp) AS hour, feature, count() AS requests
FROM trial.events
WHERE customer = {customer:UInt32}
GROUP BY hour, feature
ORDER BY hour, feature
FORMAT JSONEachRow
