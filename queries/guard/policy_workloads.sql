-- All workloads: the guard's hang into the same tree as those of others.
SELECT name, parent, create_query FROM system.workloads
