-- All resources: there can be only one of query slots.
SELECT name, toString(unit) AS unit FROM system.resources
