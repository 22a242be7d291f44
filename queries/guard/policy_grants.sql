-- Grants of the guard's roles and of its users, one a row.
SELECT
    ifNull(role_name, '') AS role,
    ifNull(user_name, '') AS user,
    toString(access_type) AS access,
    access_object,
    database,
    table,
    column,
    toBool(is_partial_revoke) AS revoked,
    toBool(grant_option) AS with_grant_option,
    toBool(is_wildcard) AS wildcard
FROM system.grants
WHERE startsWith(role, {prefix:String}) OR has(splitByChar(',', {users:String}), user)
