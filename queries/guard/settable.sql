-- Which of the settings that the guard gives a user may be given as this user, and within what range.
SELECT name, toString(min) AS least, toString(max) AS most
FROM system.settings
WHERE readonly = 0 AND name IN {names:Array(String)}
