-- title: Incidents
-- owner: on-call
-- budget: interactive
-- Incidents that were open in the range, newest first, each as it was last reported.
-- Cost: the table of incidents, which is small: a row each.
-- parameter from DateTime64(3, 'UTC') = now-30d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter incident String = : only this incident; empty for all
-- parameter limit UInt32 = 200: most rows
-- column incident text: its name
-- column started_at time: when it began
-- column ended_at time: when it ended; absent while it is open
-- column duration_s s: how long; absent while it is open
-- column severity text: critical, warning or info
-- column alerts json: the names of its alerts
-- column causes json: ranked, with shares and evidence
-- column ruled_out json: what was ruled out, and why
-- column customers json: the customers it concerns
-- column actions json: what to do
-- column timeline json: what happened, in order
-- column affected_subscriptions 1: how many
-- column affected_requests_share ratio: of all requests
-- column summary text: in a sentence
SELECT
    incident, started_at, if(toUnixTimestamp64Milli(incidents.ended_at) = 0, NULL, incidents.ended_at) AS ended_at,
    if(toUnixTimestamp64Milli(incidents.ended_at) = 0, NULL,
        dateDiff('millisecond', started_at, incidents.ended_at) / 1000) AS duration_s,
    toString(severity) AS severity, alerts, causes, ruled_out, customers, actions, timeline,
    affected_subscriptions, affected_requests_share, summary
FROM {database}.incidents FINAL
WHERE started_at < {until:DateTime64(3, 'UTC')}
    AND (toUnixTimestamp64Milli(incidents.ended_at) = 0 OR incidents.ended_at >= {from:DateTime64(3, 'UTC')})
    AND (empty({incident:String}) OR incidents.incident = {incident:String})
ORDER BY started_at DESC, incident
LIMIT {limit:UInt32}
