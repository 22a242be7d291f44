-- What the ledger says of each partition, newest epoch last: `newest` is 1 for it. `offset_from` is the first offset
-- known (retention of the ledger removes ranges from the front), `offset_through` the next one that is expected.
--   topic    only this topic; empty for all
SELECT
    toString(topic) AS topic, epoch, partition,
    count() AS ranges, sum(messages) AS messages, sum(rows) AS rows, sum(dead_lettered) AS dead_lettered,
    sum(control) AS control, sum(dropped) AS dropped,
    min(offset_start) AS offset_from, max(offset_end) AS offset_through,
    toUInt8(max(inserted_at) = max(max(inserted_at)) OVER (PARTITION BY topic, partition)) AS newest
FROM {database}.ingest_ledger FINAL
WHERE empty({topic:String}) OR topic = {topic:String}
GROUP BY topic, epoch, partition
ORDER BY topic, partition, max(inserted_at)
LIMIT {limit:UInt32}
