//! What every Kafka client of ours has in common: settings and where its log goes.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::config::KafkaConfig;

/// Brokers, name, TLS and SASL, and the configured further properties.
pub(super) fn base_config(kafka: &KafkaConfig) -> ClientConfig {
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
pub(super) fn default_to(config: &mut ClientConfig, name: &str, value: &str) {
    if config.get(name).is_none() {
        config.set(name, value);
    }
}

/// The client library's log lines, as ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
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
