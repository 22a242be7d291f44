-- Names of all settings that the server knows.
SELECT name FROM system.settings
