//! Records in: Kafka, files and what comes over HTTP; offsets, dead letters.
//!
//! [`KafkaIngest`] reads a consumer group's share of the topics and feeds two lanes: detection (which may slow reading
//! down) and storage (which may not). [`LineReader`] reads lines in bounded memory; [`EventProducer`] writes to Kafka.
//! [`Intake`] takes what senders bring and answers once it is safe. [`probes`] look at Redis, Prometheus endpoints and
//! ClickHouse by themselves.

mod committed;
mod dead_letters;
mod file;
mod intake;
mod intent;
mod kafka;
mod offsets;
mod patience;
pub mod probes;
mod producer;
mod status;
mod store_lane;
#[cfg(test)]
mod store_lane_tests;
mod topic_check;

use crate::kafka_client as client;
pub use committed::{CommittedError, committed};
pub use dead_letters::{
    DeadLetter, LetterReader, LettersError, Placed, REPLAYED_FROM, ReplayCounts, ReplayOptions, Settled, StoredLetter,
    replay,
};
pub use file::{Line, LineReader};
pub use intake::{
    Destination, HTTP_TOPIC, Identity, Intake, IntakeError, IntakeStatus, IntakeTask, PROBES_TOPIC, Pressure,
    REQUESTS_NOT_NATIVE, Receipt, Reservation, StorageLanes, requests_are_native,
};
pub use kafka::{IngestError, KafkaIngest, Lanes, ShutdownReport};
pub use producer::{EventProducer, ProducerCounts, ProducerError, WatermarkPolicy};
pub use status::{IngestCounts, IngestStatus, PartitionStatus};
pub use store_lane::IntentKeeper;
pub use topic_check::{TopicCheck, TopicCheckError, TopicProblem, check_topics};
