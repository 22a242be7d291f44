-- The ranges of a partition after an offset: those that are stored, and those that were about to be.
SELECT true AS stored, offset_start, offset_end
FROM {database}.ingest_ledger
WHERE topic = {topic:String} AND partition = {partition:Int32} AND epoch = {epoch:String}
    AND offset_end > toInt64({committed:String})
UNION DISTINCT
SELECT false AS stored, offset_start, offset_end
FROM {database}.ingest_intents
WHERE topic = {topic:String} AND partition = {partition:Int32} AND epoch = {epoch:String}
    AND offset_end > toInt64({committed:String})
