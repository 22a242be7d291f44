-- The guard's settings profiles, and to whom each is applied besides users that name it.
SELECT
    name,
    storage,
    arrayStringConcat(arraySort(if(apply_to_all, ['ALL'], apply_to_list)), ', ') AS applies_to
FROM system.settings_profiles
WHERE startsWith(name, {prefix:String})
