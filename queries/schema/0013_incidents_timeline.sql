-- What happened in an incident, in order: JSON, an array of {"at", "what"}.
ALTER TABLE {database}.incidents ADD COLUMN IF NOT EXISTS timeline String CODEC(ZSTD(3)) AFTER actions;
