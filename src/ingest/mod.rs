//! Records in: Kafka and files, offsets, dead letters.
//!
//! [`KafkaIngest`] reads a consumer group's share of the topics and feeds two lanes: detection (which may slow reading
//! down) and storage (which may not). [`LineReader`] reads lines in bounded memory; [`EventProducer`] writes to Kafka.

mod client;
mod committed;
mod dead_letter_reader;
mod dead_letters;
mod file;
mod kafka;
mod offsets;
mod original_reader;
mod probe;
mod producer;
mod replay;
mod replay_plan;
mod status;
mod store_lane;
#[cfg(test)]
mod store_lane_tests;

pub use committed::{CommittedError, committed};
pub use dead_letter_reader::{LetterReader, LettersError, Placed, Settled, StoredLetter};
pub use dead_letters::DeadLetter;
pub use file::{Line, LineReader};
pub use kafka::{IngestError, KafkaIngest, Lanes, ShutdownReport};
pub use probe::{ProbeError, TopicProbe, TopicProblem, probe};
pub use producer::{EventProducer, ProducerCounts, ProducerError, WatermarkPolicy};
pub use replay::{REPLAYED_FROM, ReplayCounts, ReplayOptions, replay};
pub use status::{IngestCounts, IngestStatus, PartitionStatus};
