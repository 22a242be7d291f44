-- title: What alerts did
-- owner: on-call
-- budget: interactive
-- Transitions of alerts in the range by event time, newest first: pending, firing, resolved.
-- Cost: the transitions of the range.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter alert String = : only this alert; empty for all
-- parameter incident String = : only this incident; empty for all
-- parameter limit UInt32 = 1000: most rows
-- column at time: when
-- column event text: pending, firing or resolved
-- column alert text: its name
-- column severity text: critical, warning or info
-- column incident text: the incident it belongs to
-- column since time: since when the condition holds
-- column labels json: whom it is about
-- column value 1: in `unit`
-- column baseline 1: what is usual, in `unit`
-- column unit text: unit of value and baseline
-- column causes json: ranked, with shares and evidence
-- column affected_subscriptions 1: how many
-- column affected_requests_share ratio: of all requests
-- column summary text: in a sentence
-- column runbook text: where to read on
SELECT
    at, toString(event) AS event, toString(alert_transitions.alert) AS alert, toString(severity) AS severity,
    alert_transitions.incident AS incident, since, labels, value, baseline, toString(unit) AS unit, causes,
    affected_subscriptions, affected_requests_share, summary, toString(runbook) AS runbook
FROM {database}.alert_transitions FINAL
WHERE at >= {from:DateTime64(3, 'UTC')} AND at < {until:DateTime64(3, 'UTC')}
    AND (empty({alert:String}) OR alert_transitions.alert = {alert:String})
    AND (empty({incident:String}) OR alert_transitions.incident = {incident:String})
ORDER BY at DESC, alert, labels, event
LIMIT {limit:UInt32}
