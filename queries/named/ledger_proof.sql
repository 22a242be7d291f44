-- title: Offsets not accounted for
-- owner: storage
-- budget: maintenance
-- Every offset range that is not accounted for exactly once, a row each; no row when all is well.
--   kind     gap      offsets between two ranges of a partition are in neither
--            overlap  offsets are in two ranges: their records were stored twice
--            numbers  a range's own numbers do not add up
--            rows     the raw tables do not hold the rows that the range says it stored
-- Raw rows do not tell which topic of a name they are from: they are compared for the newest epoch of each partition, by
-- when they were stored, and not for ranges older than the shortest retention of the raw tables (less an hour).
-- Cost: four columns of each raw table are read once, and a bit of memory a row (a bitmap of offsets for each range);
-- in the ledger about 50 bytes a range of the largest partition, and 100 bytes a range that raw rows are compared with.
-- Groups and sorts above half a gigabyte go to disk: settings of its budget class.
-- parameter topic String = : only this topic; empty for all
-- parameter as_of DateTime64(3, 'UTC') = now-10s: raw rows are compared for ranges that were in the ledger by then, so that
--     a range that is being written while this runs is no finding; by the server's clock
-- parameter limit UInt32 = 1000: most rows
-- column kind text: what is wrong: gap, overlap, numbers or rows
-- column topic text: the topic
-- column epoch text: which topic of that name
-- column partition 1: the partition
-- column offset_start 1: the first offset of the range
-- column offset_end 1: the next offset after it
-- column detail text: what was found
WITH
    ranges AS
    (
        SELECT * FROM {database}.ingest_ledger FINAL
        WHERE empty({topic:String}) OR topic = {topic:String}
    ),
    newest AS
    (
        SELECT topic, partition, argMax(epoch, stored) AS newest_epoch, arrayReverseSort(groupArray(stored))[2] AS older_until
        FROM (SELECT topic, partition, epoch, max(inserted_at) AS stored FROM ranges GROUP BY topic, partition, epoch)
        GROUP BY topic, partition
    ),
    (
        SELECT min(toUInt64OrZero(extract(create_table_query, 'TTL inserted_at \\+ toIntervalSecond\\((\\d+)\\)')))
        FROM system.tables
        WHERE database = '{database}' AND name IN ('requests', 'signals', 'changes', 'query_runs')
    ) AS kept_seconds,
    comparable AS
    (
        SELECT topic, epoch, partition, offset_start, offset_end, rows
        FROM ranges INNER JOIN newest USING (topic, partition)
        WHERE epoch = newest_epoch AND inserted_at <= {as_of:DateTime64(3, 'UTC')}
            AND (kept_seconds = 0 OR inserted_at > now() - kept_seconds + 3600)
    ),
    raw AS
    (
        SELECT _topic, _partition, _offset, _index, inserted_at FROM {database}.requests
        WHERE empty({topic:String}) OR _topic = {topic:String}
        UNION ALL
        SELECT _topic, _partition, _offset, _index, inserted_at FROM {database}.signals
        WHERE empty({topic:String}) OR _topic = {topic:String}
        UNION ALL
        SELECT _topic, _partition, _offset, _index, inserted_at FROM {database}.changes
        WHERE empty({topic:String}) OR _topic = {topic:String}
        UNION ALL
        SELECT _topic, _partition, _offset, _index, inserted_at FROM {database}.query_runs
        WHERE empty({topic:String}) OR _topic = {topic:String}
    ),
    stored AS
    (
        SELECT
            topic, epoch, partition, offset_start, offset_end, count() AS stored_rows,
            -- Almost every record holds one event: its offset is one bit.
            groupBitmapIf(toUInt64(_offset), _index = 0) + uniqExactIf((_offset, _index), _index > 0) AS stored_distinct
        FROM
        (
            SELECT toString(raw._topic) AS topic, raw._partition AS partition, raw._offset AS _offset, raw._index AS _index
            FROM raw INNER JOIN newest ON raw._topic = newest.topic AND raw._partition = newest.partition
            WHERE raw.inserted_at > toDateTime(older_until)
        ) AS raw_rows
        ASOF INNER JOIN comparable AS known
            ON raw_rows.topic = known.topic AND raw_rows.partition = known.partition
            AND raw_rows._offset >= known.offset_start
        WHERE _offset < offset_end
        GROUP BY topic, epoch, partition, offset_start, offset_end
    )
SELECT kind, topic, epoch, partition, offset_start, offset_end, detail
FROM
(
    SELECT
        if(range_start > reached, 'gap', 'overlap') AS kind, toString(topic) AS topic, epoch, partition,
        least(reached, range_start) AS offset_start,
        if(range_start > reached, range_start, least(reached, range_end)) AS offset_end,
        if(
            range_start > reached, 'in no range',
            format('in the range {0}..{1} and before', toString(range_start), toString(range_end))
        ) AS detail
    FROM
    (
        SELECT
            topic, epoch, partition, offset_start AS range_start, offset_end AS range_end,
            max(offset_end) OVER before AS reached, count() OVER before AS earlier
        FROM ranges
        WINDOW before AS
        (
            PARTITION BY topic, epoch, partition ORDER BY offset_start, offset_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    )
    WHERE earlier > 0 AND range_start != reached

    UNION ALL

    SELECT
        'numbers' AS kind, toString(topic) AS topic, epoch, partition, offset_start, offset_end,
        format(
            '{0} offsets: {1} messages, {2} rows, {3} dead-lettered, {4} control, {5} dropped ({6})',
            toString(offset_end - offset_start), toString(messages), toString(rows), toString(dead_lettered),
            toString(control), toString(dropped), if(empty(dropped_reason), 'no reason', toString(dropped_reason))
        ) AS detail
    FROM ranges
    -- A message becomes at least one of the three, and may become several; offsets may have holes. A control record
    -- of a producer is no message.
    WHERE offset_end <= offset_start
        OR messages + dropped > toUInt64(offset_end - offset_start)
        OR rows + dead_lettered + control < messages
        OR (messages = 0 AND rows + dead_lettered + control > 0)
        OR (dropped > 0) != notEmpty(dropped_reason)

    UNION ALL

    SELECT
        'rows' AS kind, toString(topic) AS topic, epoch, partition, offset_start, offset_end,
        format(
            '{0} rows in the ledger, {1} stored, {2} of them distinct',
            toString(rows), toString(stored_rows), toString(stored_distinct)
        ) AS detail
    FROM comparable LEFT JOIN stored USING (topic, epoch, partition, offset_start, offset_end)
    WHERE stored_rows != rows OR stored_distinct != rows
)
ORDER BY topic, epoch, partition, offset_start, kind
LIMIT {limit:UInt32}
