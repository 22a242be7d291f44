-- title: What was said of pages
-- owner: on-call
-- budget: interactive
-- What was said of pages from `from` to before `until`, by the wall clock, newest first; also what silences kept back.
-- parameter from DateTime64(3, 'UTC') = now-24h: the beginning
-- parameter until DateTime64(3, 'UTC') = now: the end, itself not in it
-- parameter key String = : only this page; empty for all
-- parameter limit UInt32 = 1000: most rows
-- column said_at time: when it was said
-- column dedup_key text: the page
-- column revision 1: its revision
-- column event text: opened, updated, resolved or acknowledged
-- column severity text: critical, warning or info
-- column reason text: why it was said
-- column title text: the page in a line
-- column at time: event time of what it tells
-- column silenced_by text: the silence that kept it from receivers; empty for none
-- column acknowledged_by text: who has taken it; empty for nobody
-- column note text: what they said
SELECT
    said_at, dedup_key, revision, toString(event) AS event, toString(severity) AS severity,
    toString(reason) AS reason, title, at, silenced_by, toString(acknowledged_by) AS acknowledged_by, note
FROM {database}.pages FINAL
WHERE said_at >= {from:DateTime64(3, 'UTC')} AND said_at < {until:DateTime64(3, 'UTC')}
    AND (empty({key:String}) OR dedup_key = {key:String})
ORDER BY said_at DESC, dedup_key, revision DESC
LIMIT {limit:UInt32}
