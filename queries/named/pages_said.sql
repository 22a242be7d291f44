-- What was said of pages from `from` to before `until`, by the wall clock, newest first; also what silences kept back.
--   key    only this page; empty for all
SELECT
    toString(said_at) AS said_at, dedup_key, revision, toString(event) AS event, toString(severity) AS severity,
    toString(reason) AS reason, title, toString(at) AS at, silenced_by, toString(acknowledged_by) AS acknowledged_by, note
FROM {database}.pages FINAL
-- Qualified: the columns above have the names of their texts.
WHERE pages.said_at >= {from:DateTime64(3, 'UTC')} AND pages.said_at < {until:DateTime64(3, 'UTC')}
    AND (empty({key:String}) OR dedup_key = {key:String})
ORDER BY pages.said_at DESC, dedup_key, revision DESC
LIMIT {limit:UInt32}
