-- Grants of the guard's roles and of its users, one a row.
SELECT
    ifNull(role_name, '') AS role,
    ifNull(user_name, '') AS user,
    toString(access_type) AS access,
    access_object,
    database,
    table,
    column,
    is_partial_revoke = 1 AS revoked,
    grant_option = 1 AS with_grant_option,
    is_wildcard = 1 AS wildcard
FROM system.grants
WHERE startsWith(role, {prefix:String}) OR has(splitByChar(',', {users:String}), user)
