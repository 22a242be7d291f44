//! Delivery on Apache Kafka: nothing lost, nothing twice, through crashes of everything (`make test-kafka`).

mod checks;
mod faults;
mod feed;
mod http;
#[path = "../it/kafka_ingest.rs"]
mod kafka_ingest;
mod members;
mod proxy;
mod schedule;
mod secure;
mod seeds;
mod support;
mod trial;
mod world;
