-- Reports of incidents that went on between `from` and `until`, newest first.
--   incident  only this one, whenever it was; empty for all
SELECT
    incident, toString(incidents.started_at) AS started_at, toString(incidents.ended_at) AS ended_at,
    toUInt8(incidents.ended_at > incidents.started_at) AS is_over, toString(severity) AS severity,
    alerts, causes, ruled_out, customers, actions, timeline, affected_subscriptions, affected_requests_share, summary
FROM {database}.incidents FINAL
-- Qualified: columns above have the names of their texts. The epoch stands for "still open".
WHERE if(
    notEmpty({incident:String}), incident = {incident:String},
    incidents.started_at < {until:DateTime64(3, 'UTC')}
        AND (incidents.ended_at < incidents.started_at OR incidents.ended_at >= {from:DateTime64(3, 'UTC')})
)
ORDER BY incidents.started_at DESC, incident
LIMIT {limit:UInt32}
