//! `[kafka.tls]` and `[kafka.sasl]`: how to speak to brokers that do not trust everybody.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{KafkaConfig, Secret, SecretFileError};

/// TLS to the brokers. The section alone, empty, means TLS with the system's certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaTlsConfig {
    /// Certificate authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for brokers that ask for one (PEM); goes with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// Key of our certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// Password of the key, better from the environment; it comes before `key_password_file`.
    pub key_password: Option<Secret>,
    /// File that holds the password of the key. Absent, and no `key_password`: the key has none.
    pub key_password_file: Option<PathBuf>,
}

/// User and password for the brokers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSaslConfig {
    /// How the password is proved.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// User.
    pub user: String,
    /// Password, better from the environment; it comes before `password_file`.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
}

/// Mechanisms of SASL, as Kafka spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SaslMechanism {
    /// The password itself is sent: only over TLS, or to this machine.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// Kafka's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaConfig {
    /// The librdkafka properties that `tls` and `sasl` come to, secrets included.
    ///
    /// # Errors
    /// A file that holds a secret cannot be read.
    pub fn security_properties(&self) -> Result<Vec<(&'static str, String)>, SecretFileError> {
        let mut properties = self.open_security_properties();
        if let Some(tls) = &self.tls {
            let key = Secret::resolve(tls.key_password.as_ref(), tls.key_password_file.as_deref())?;
            properties.extend(key.map(|secret| ("ssl.key.password", secret.expose().to_owned())));
        }
        if let Some(sasl) = &self.sasl {
            let password = Secret::resolve(sasl.password.as_ref(), sasl.password_file.as_deref())?;
            properties.extend(password.map(|secret| ("sasl.password", secret.expose().to_owned())));
        }
        Ok(properties)
    }

    /// The properties that are no secrets, and so need no file.
    fn open_security_properties(&self) -> Vec<(&'static str, String)> {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => return Vec::new(),
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        let mut properties = vec![("security.protocol", protocol.to_owned())];
        if let Some(tls) = &self.tls {
            let files = [
                ("ssl.ca.location", &tls.ca_file),
                ("ssl.certificate.location", &tls.certificate_file),
                ("ssl.key.location", &tls.key_file),
            ];
            let given = files.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?)));
            properties.extend(given.map(|(name, file)| (name, file.display().to_string())));
        }
        if let Some(sasl) = &self.sasl {
            properties.push(("sasl.mechanism", sasl.mechanism.as_str().to_owned()));
            properties.push(("sasl.username", sasl.user.clone()));
        }
        properties
    }

    /// What is wrong with `tls`, `sasl` and the properties beside them: key and message.
    pub(super) fn security_problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if let Some(tls) = &self.tls
            && tls.certificate_file.is_some() != tls.key_file.is_some()
        {
            let message = "certificate_file and key_file go together";
            problems.push(("kafka.tls".to_owned(), message.to_owned()));
        }
        if let Some(sasl) = &self.sasl {
            if sasl.user.is_empty() {
                problems.push(("kafka.sasl.user".to_owned(), "must not be empty".to_owned()));
            }
            if sasl.password.is_none() && sasl.password_file.is_none() {
                let message = "is missing: name the file of the password, or set FLOODMARK__KAFKA__SASL__PASSWORD";
                problems.push(("kafka.sasl.password_file".to_owned(), message.to_owned()));
            }
            if sasl.mechanism == SaslMechanism::Plain && self.tls.is_none() && !self.all_brokers_are_loopback() {
                let message = "PLAIN sends the password as it is: add [kafka.tls], or use SCRAM-SHA-512";
                problems.push(("kafka.sasl.mechanism".to_owned(), message.to_owned()));
            }
        }
        let conflicts = self.properties.keys().filter(|name| self.is_set_by_sections(name));
        problems.extend(conflicts.map(|name| {
            let message = "is set by kafka.tls and kafka.sasl: say it in one place";
            (format!("kafka.properties.\"{name}\""), message.to_owned())
        }));
        problems
    }

    fn all_brokers_are_loopback(&self) -> bool {
        self.brokers.split(',').map(str::trim).all(|broker| {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _port)| host);
            ["127.0.0.1", "localhost", "[::1]"].contains(&host)
        })
    }

    /// Whether `property` (or another name of it) belongs to what a section of ours says.
    fn is_set_by_sections(&self, property: &str) -> bool {
        let any_section = self.tls.is_some() || self.sasl.is_some();
        let of_tls = ["ssl.ca.", "ssl.certificate.", "ssl.key.", "ssl.keystore."];
        let of_sasl = ["sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"];
        (any_section && property == "security.protocol")
            || (self.tls.is_some() && of_tls.iter().any(|start| property.starts_with(start)))
            || (self.sasl.is_some() && of_sasl.contains(&property))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(tls: Option<KafkaTlsConfig>, sasl: Option<KafkaSaslConfig>) -> KafkaConfig {
        KafkaConfig { tls, sasl, ..KafkaConfig::default() }
    }

    fn scram() -> KafkaSaslConfig {
        let (mechanism, user) = (SaslMechanism::ScramSha512, "floodmark".to_owned());
        KafkaSaslConfig { mechanism, user, password: Some(Secret::new("hunter2")), password_file: None }
    }

    #[test]
    fn sections_become_properties_of_the_client() {
        let properties = |config: KafkaConfig| config.security_properties().unwrap();
        assert_eq!(properties(kafka(None, None)), []);
        let tls = KafkaTlsConfig {
            ca_file: Some("ca.pem".into()),
            certificate_file: Some("me.pem".into()),
            key_file: Some("me.key".into()),
            key_password: Some(Secret::new("k")),
            key_password_file: None,
        };
        let expected = [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", "ca.pem"),
            ("ssl.certificate.location", "me.pem"),
            ("ssl.key.location", "me.key"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "floodmark"),
            ("ssl.key.password", "k"),
            ("sasl.password", "hunter2"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(properties(kafka(Some(tls), Some(scram()))), expected);
        let protocol = |config| properties(config)[0].1.clone();
        assert_eq!(protocol(kafka(Some(KafkaTlsConfig::default()), None)), "SSL");
        assert_eq!(protocol(kafka(None, Some(scram()))), "SASL_PLAINTEXT");
    }

    #[test]
    fn what_is_said_twice_or_by_half_is_a_problem() {
        let mut config =
            kafka(Some(KafkaTlsConfig { key_file: Some("k".into()), ..Default::default() }), Some(scram()));
        config.sasl.as_mut().unwrap().password = None;
        for name in ["security.protocol", "ssl.ca.pem", "sasl.password", "client.rack"] {
            config.properties.insert(name.to_owned(), String::new());
        }
        let keys: Vec<String> = config.security_problems().into_iter().map(|(key, _)| key).collect();
        let property = |name: &str| format!("kafka.properties.\"{name}\"");
        let expected = [
            "kafka.tls".to_owned(),
            "kafka.sasl.password_file".to_owned(),
            property("sasl.password"),
            property("security.protocol"),
            property("ssl.ca.pem"),
        ];
        assert_eq!(keys, expected);
        let by_hand = [("security.protocol", "SSL"), ("ssl.ca.location", "x")];
        let by_hand = by_hand.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(KafkaConfig { properties: by_hand, ..KafkaConfig::default() }.security_problems(), []);
    }

    #[test]
    fn a_password_is_not_sent_in_the_open_beyond_this_machine() {
        let problems = |brokers: &str, mechanism, tls| {
            let sasl = KafkaSaslConfig { mechanism, ..scram() };
            let config = KafkaConfig { brokers: brokers.to_owned(), ..kafka(tls, Some(sasl)) };
            config.security_problems().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        let plain = SaslMechanism::Plain;
        for brokers in ["kafka.example:9092", "127.0.0.1:9092,kafka:9092", "localhost.example:9092"] {
            assert_eq!(problems(brokers, plain, None), ["kafka.sasl.mechanism"], "{brokers}");
            assert_eq!(problems(brokers, plain, Some(KafkaTlsConfig::default())), [""; 0]);
            assert_eq!(problems(brokers, SaslMechanism::ScramSha512, None), [""; 0]);
        }
        assert_eq!(problems("127.0.0.1:9092, localhost:9093,[::1]:9094", plain, None), [""; 0]);
    }

    #[test]
    fn no_secret_shows_in_a_debug_print() {
        let mut config = kafka(None, Some(scram()));
        config.properties.insert("ssl.key.password".to_owned(), "hunter2".to_owned());
        config.properties.insert("client.rack".to_owned(), "a-rack".to_owned());
        let printed = format!("{config:?}");
        assert!(printed.contains("a-rack") && !printed.contains("hunter2"), "{printed}");
    }
}
