//! Records in: Kafka and files, offsets, dead letters.

mod file;

pub use file::{Line, LineReader};
