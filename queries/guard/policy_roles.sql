-- The guard's roles.
SELECT name, storage FROM system.roles WHERE startsWith(name, {prefix:String})
