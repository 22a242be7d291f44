-- What the alerts of an incident said, in order. `from` to `until` bounds what is read: the table's key is the time.
SELECT
    toString(alert_transitions.at) AS at, toString(event) AS event, toString(alert) AS alert, toString(severity) AS severity,
    incident, toString(alert_transitions.since) AS since, labels, value, baseline, toString(unit) AS unit, summary
FROM {database}.alert_transitions FINAL
-- Qualified: columns above have the names of their texts.
WHERE alert_transitions.at >= {from:DateTime64(3, 'UTC')} AND alert_transitions.at < {until:DateTime64(3, 'UTC')}
    AND incident = {incident:String}
ORDER BY alert_transitions.at, alert, labels, severity, event
LIMIT {limit:UInt32}
