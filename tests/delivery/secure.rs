//! Reading from a listener with TLS and SASL.

use floodmark::config::{KafkaSaslConfig, KafkaTlsConfig, SaslMechanism};

use crate::support::kafka::{PASSWORD, USER};
use crate::trial::{Trial, assert_sound};
use crate::world::{World, with_world};

const RECORDS: u64 = 1_000;
const RECORDS_PER_SECOND: u64 = 2_000;

/// A trial whose members and producer use the secure listener.
async fn delivers(world: &mut World, mechanism: SaslMechanism) {
    let mut trial = Trial::new(world, 0, 1).await;
    let directory = tempfile::tempdir().unwrap();
    let password_file = directory.path().join("kafka.password");
    std::fs::write(&password_file, PASSWORD).unwrap();
    let mut kafka = trial.kafka.clone();
    kafka.brokers = trial.world.kafka.secure_address();
    kafka.tls = Some(KafkaTlsConfig { ca_file: Some(trial.world.kafka.certificate()), ..KafkaTlsConfig::default() });
    kafka.sasl =
        Some(KafkaSaslConfig { mechanism, user: USER.to_owned(), password: None, password_file: Some(password_file) });
    trial.connect_by(kafka);
    trial.start_members().await;
    trial.feed(RECORDS, RECORDS_PER_SECOND).finished().await;
    assert_sound(&trial.reckon().await);
}

#[test]
fn records_are_read_over_tls_with_a_scram_password() {
    with_world(async |world| delivers(world, SaslMechanism::ScramSha256).await);
}

#[test]
fn records_are_read_over_tls_with_a_plain_password() {
    with_world(async |world| delivers(world, SaslMechanism::Plain).await);
}
