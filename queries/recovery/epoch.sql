-- Which topic of its name a partition belonged to when ranges of it were last noted. No row: never.
SELECT argMax(epoch, inserted_at) AS epoch
FROM {database}.ingest_intents
WHERE topic = {topic:String} AND partition = {partition:Int32}
HAVING count() > 0
