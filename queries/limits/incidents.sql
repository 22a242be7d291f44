-- Incidents that touch the span, the newest report of each; the newest incidents first. Times are epoch milliseconds as
-- text, 0 for an incident that is open.
SELECT
    incident,
    toString(toUnixTimestamp64Milli(started_at)) AS started_ms,
    toString(toUnixTimestamp64Milli(ended_at)) AS ended_ms,
    toString(severity) AS severity,
    causes,
    summary
FROM {database}.incidents FINAL
WHERE started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    AND (ended_at = toDateTime64(0, 3, 'UTC') OR ended_at > fromUnixTimestamp64Milli({from:Int64}, 'UTC'))
ORDER BY started_at DESC, incident
LIMIT 10000
