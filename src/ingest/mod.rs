//! Records in: Kafka and files, offsets, dead letters.
