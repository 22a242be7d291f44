-- The workloads there are: a query of another would run unscheduled, or fail.
SELECT name FROM system.workloads
