-- Who holds roles: members of the guard's roles, and every role of its users and roles.
SELECT
    ifNull(user_name, '') AS user,
    ifNull(role_name, '') AS role,
    granted_role_name AS granted,
    toBool(granted_role_is_default) AS is_default
FROM system.role_grants
WHERE startsWith(granted_role_name, {prefix:String}) OR startsWith(role, {prefix:String})
    OR has(splitByChar(',', {users:String}), user)
