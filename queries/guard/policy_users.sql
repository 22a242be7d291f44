-- The users of a policy that exist, and members of the guard's roles.
SELECT
    name,
    storage,
    arrayStringConcat(arrayMap(method -> toString(method), auth_type), ', ') AS authentication
FROM system.users
WHERE has(splitByChar(',', {users:String}), name)
