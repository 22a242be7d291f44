-- title: What the ledger says of each partition
-- owner: storage
-- budget: interactive
-- What the ledger says of each partition, newest epoch last: `newest` is 1 for it. `offset_from` is the first offset
-- known (retention of the ledger removes ranges from the front), `offset_through` the next one that is expected.
-- parameter topic String = : only this topic; empty for all
-- parameter limit UInt32 = 1000: most rows
-- column topic text: the topic
-- column epoch text: which topic of that name
-- column partition 1: the partition
-- column ranges 1: ranges in the ledger
-- column messages 1: messages read
-- column rows rows: events stored
-- column dead_lettered 1: records refused
-- column control 1: watermarks
-- column dropped 1: offsets given up
-- column offset_from 1: the first offset known; retention of the ledger removes ranges from the front
-- column offset_through 1: the next offset that is expected
-- column newest 1: 1 for the epoch that was written to last
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
