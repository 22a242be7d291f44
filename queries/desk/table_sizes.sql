-- Which of `names`, separated by commas, are tables of ours, and how much is in them.
SELECT name, total_rows, total_bytes_uncompressed
FROM system.tables
WHERE database = '{database}' AND has(splitByChar(',', {names:String}), name)
