//! Reading from a listener with TLS and SASL.

use crate::support::kafka::{ApacheKafka, PASSWORD, USER};
use crate::trial::{Trial, assert_sound};
use crate::world::{World, with_world};

const RECORDS: u64 = 1_000;
const RECORDS_PER_SECOND: u64 = 2_000;

/// The properties of a client of the secure listener.
fn properties(kafka: &ApacheKafka, mechanism: &str) -> [(String, String); 5] {
    let certificate = kafka.certificate().display().to_string();
    [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &certificate),
        ("sasl.mechanism", mechanism),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// A trial whose members and producer use the secure listener.
async fn delivers(world: &mut World, mechanism: &str) {
    let mut trial = Trial::new(world, 0, 1).await;
    let mut kafka = trial.kafka.clone();
    kafka.brokers = trial.world.kafka.secure_address();
    kafka.properties.extend(properties(&trial.world.kafka, mechanism));
    trial.connect_by(kafka);
    trial.start_members().await;
    trial.feed(RECORDS, RECORDS_PER_SECOND).finished().await;
    assert_sound(&trial.reckon().await);
}

#[test]
fn records_are_read_over_tls_with_a_scram_password() {
    with_world(async |world| delivers(world, "SCRAM-SHA-256").await);
}

#[test]
fn records_are_read_over_tls_with_a_plain_password() {
    with_world(async |world| delivers(world, "PLAIN").await);
}
