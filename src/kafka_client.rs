//! What every Kafka client of ours has in common, of ingest and of receivers: settings and where its log goes.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::config::KafkaConfig;

/// Brokers, name, TLS and SASL, and the configured further properties.
pub(crate) fn base_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &kafka.properties {
        config.set(name, value);
    }
    match kafka.security_properties() {
        Ok(properties) => {
            for (name, value) in properties {
                config.set(name, value);
            }
        }
        Err(error) => {
            tracing::error!(error = %error, "kafka cannot be reached without this secret");
            // The client refuses a mechanism without a password: it ends with its settings, not with a broker's refusal.
            config.set("security.protocol", "sasl_ssl").set("sasl.mechanism", "PLAIN");
        }
    }
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", "floodmark");
    config
}

/// The first value of a property that the user did not set.
pub(crate) fn default_to(config: &mut ClientConfig, name: &str, value: &str) {
    if config.get(name).is_none() {
        config.set(name, value);
    }
}

/// For producers that repeat what was not answered, and must neither lose nor double it: one request at a time.
///
/// With several under way, librdkafka takes a refused one as acknowledged when a later one is taken, because a broker
/// refuses what does not follow. But a broker that has not seen a producer yet takes any first sequence number. So when the
/// first request comes before the partition's leader is ready, and the second just after, the records of the first would be
/// gone and said to be safe (confluent-kafka-go, issue 921).
pub(crate) fn idempotent(config: &mut ClientConfig) {
    // The other name of the same property.
    config.remove("max.in.flight");
    config.set("enable.idempotence", "true").set("acks", "all").set("max.in.flight.requests.per.connection", "1");
}

/// The client library's log lines, as ours.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "kafka client: {message}");
        }
        // A broker that is away is an error every second to the library, and one state of ours.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(facility, "kafka client: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::trace!(facility, "kafka client: {message}");
        }
    }
}

// The TLS of the client is a feature; without it these settings are refused, as they should be.
#[cfg(all(test, feature = "kafka-tls"))]
mod tests {
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::BaseProducer;

    use super::*;
    use crate::config::{KafkaSaslConfig, KafkaTlsConfig, SaslMechanism, Secret};

    #[test]
    fn the_client_takes_what_tls_and_sasl_say_for_every_mechanism() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let authority = rcgen::generate_simple_self_signed(["kafka.example".to_owned()]).unwrap();
        let tls = KafkaTlsConfig {
            ca_file: file("ca.pem", &authority.cert.pem()),
            certificate_file: file("me.pem", &authority.cert.pem()),
            key_file: file("me.key", &authority.signing_key.serialize_pem()),
            ..KafkaTlsConfig::default()
        };
        for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
            let (user, password_file) = ("floodmark".to_owned(), file("password", "hunter2\n"));
            let sasl = KafkaSaslConfig { mechanism, user, password: None, password_file };
            let kafka = KafkaConfig { tls: Some(tls.clone()), sasl: Some(sasl), ..KafkaConfig::default() };
            let config = base_config(&kafka);
            assert_eq!(config.get("sasl.password"), Some("hunter2"));
            config.create::<BaseConsumer>().unwrap();
            config.create::<BaseProducer>().unwrap();
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_ends_with_the_settings_not_with_a_client_without_password() {
        let password = Some(Secret::new("hunter2"));
        let mut sasl = KafkaSaslConfig {
            mechanism: SaslMechanism::ScramSha512,
            user: "floodmark".to_owned(),
            password,
            password_file: None,
        };
        let with = |sasl: &KafkaSaslConfig| KafkaConfig { sasl: Some(sasl.clone()), ..KafkaConfig::default() };
        base_config(&with(&sasl)).create::<BaseConsumer>().unwrap();
        (sasl.password, sasl.password_file) = (None, Some("/no/such/file".into()));
        assert!(base_config(&with(&sasl)).create::<BaseConsumer>().is_err());
    }
}
