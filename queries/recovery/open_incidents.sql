-- Incidents that an earlier process left open and this one does not know, a thousand at most, with all that is said of them.
SELECT
    incident, toUnixTimestamp64Milli(started_at) AS started_ms, toString(severity) AS severity, alerts, causes, ruled_out,
    customers, actions, timeline, affected_subscriptions, affected_requests_share, summary
FROM {database}.incidents FINAL
WHERE toUnixTimestamp64Milli(incidents.ended_at) = 0
    AND toUnixTimestamp64Milli(incidents.inserted_at) < {before_ms:Int64}
    AND NOT has(splitByChar(',', {known:String}), incident)
ORDER BY incident
LIMIT 1000
