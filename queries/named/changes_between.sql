-- title: Changes
-- owner: on-call
-- budget: interactive
-- Releases, deploys, configuration and flags, newest first. `change_impact` says what came after each.
-- Cost: the changes of the range.
-- parameter from DateTime64(3, 'UTC') = now-7d: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter service String = : only this service or client; empty for all
-- parameter limit UInt32 = 500: most rows
-- column at time: when
-- column kind text: release, deploy, config or flag
-- column service text: the service or client
-- column version text: what it became
-- column title text: what was said of it
-- column url text: where to read more
SELECT
    timestamp AS at, toString(kind) AS kind, toString(changes.service) AS service, version, title, url
FROM {database}.changes
WHERE changes.timestamp >= {from:DateTime64(3, 'UTC')} AND changes.timestamp < {until:DateTime64(3, 'UTC')}
    AND (empty({service:String}) OR changes.service = {service:String})
ORDER BY at DESC, service, kind, version
LIMIT {limit:UInt32}
