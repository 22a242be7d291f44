-- Settings of the guard's profiles, of its roles and of its users, one a row.
SELECT
    ifNull(profile_name, '') AS profile,
    ifNull(user_name, '') AS user,
    ifNull(role_name, '') AS role,
    setting_name AS setting,
    value,
    min,
    max,
    toString(writability) AS writability,
    inherit_profile AS inherits
FROM system.settings_profile_elements
WHERE startsWith(profile, {prefix:String}) OR startsWith(role, {prefix:String})
    OR startsWith(inherits, {prefix:String}) OR has(splitByChar(',', {users:String}), user)
