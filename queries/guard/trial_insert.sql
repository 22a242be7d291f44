INSERT INTO trial.events
SELECT today(), now(), number % 5000, 'insert', rand64(), hex(rand64())
FROM numbers({rows:UInt64})
