//! Reading a configuration: file, then environment, then every check at once.

use std::path::Path;

use super::{Config, DetectConfig, KafkaConfig, StatusConfig};

/// Prefix of environment variables: `FLOODMARK__KAFKA__BROKERS` overrides `kafka.brokers`.
const ENVIRONMENT_PREFIX: &str = "FLOODMARK__";

/// Kafka properties that the delivery guarantee rests on, and may not be overridden.
const KAFKA_PROPERTIES_REFUSED: [&str; 10] = [
    "acks",
    "request.required.acks",
    "statistics.interval.ms",
    "metadata.broker.list",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "group.id",
    "bootstrap.servers",
    "auto.offset.reset",
    "enable.partition.eof",
];

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, e.g. `kafka.brokers`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}: {source}")]
    Unreadable {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not what a configuration looks like; the message names line and key.
    #[error("{origin}: {message}")]
    Syntax {
        /// The file, or `environment`.
        origin: String,
        /// The parser's message.
        message: String,
    },
    /// The values do not fit; every problem is listed.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
    lines.join("\n")
}

impl Config {
    /// Reads `path` (or takes the defaults), applies `environment` (name/value pairs) and checks the result.
    ///
    /// # Errors
    /// See [`ConfigError`]; [`ConfigError::Invalid`] holds all problems at once.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let config = Self::read(path, environment)?;
        config.validate().map_err(ConfigError::Invalid)?;
        Ok(config)
    }

    /// Like [`Config::load`], without the check: for whoever goes on looking when [`Config::validate`] finds problems.
    ///
    /// # Errors
    /// See [`ConfigError`]; never [`ConfigError::Invalid`].
    pub fn read(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (text, origin) = text_of(path)?;
        Self::parse(&text, &origin, environment)
    }

    /// `[detect]` alone, although other sections may hold mistakes. `None` when it cannot be told.
    #[must_use]
    pub fn read_detect(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Option<DetectConfig> {
        let (text, _) = text_of(path).ok()?;
        let mut table: toml::Table = toml::from_str(&text).ok()?;
        apply(&mut table, &overrides(environment)).ok()?;
        table.remove("detect").map_or(Some(DetectConfig::default()), |section| section.try_into().ok())
    }

    fn parse(
        text: &str,
        origin: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // The file alone first: its errors then carry line numbers, and never blame the environment.
        let syntax = |origin: &str, e: toml::de::Error| ConfigError::Syntax {
            origin: origin.to_owned(),
            message: without_secrets(e.to_string().trim_end()),
        };
        let from_file: Self = toml::from_str(text).map_err(|e| syntax(origin, e))?;
        let overrides = overrides(environment);
        if overrides.is_empty() {
            return Ok(from_file);
        }
        let mut table: toml::Table = toml::from_str(text).map_err(|e| syntax(origin, e))?;
        apply(&mut table, &overrides)?;
        table.try_into().map_err(|e| syntax("environment", e))
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// All problems, each with its key path.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem { key: key.to_owned(), message: message.to_owned() });
            }
        };
        let window_ms = self.flow.window.as_millis();
        require(
            (1_000..=60_000).contains(&window_ms) && 60_000 % window_ms == 0,
            "flow.window",
            "must lie between 1s and 60s and divide a minute evenly",
        );
        require(
            self.flow.allowed_lateness.as_millis() <= 3_600_000,
            "flow.allowed_lateness",
            "must be at most 1h: windows stay in memory that long",
        );
        require(self.flow.cells_max >= 1_000, "flow.cells_max", "must be at least 1000");
        require(self.flow.names_max >= 10_000, "flow.names_max", "must be at least 10000");
        require(self.flow.request_keys_max >= 1_000, "flow.request_keys_max", "must be at least 1000");
        require(self.store.batch_records_max >= 1, "store.batch_records_max", "must be at least 1");
        // Ranges that are on their way are noted in a commit, which holds 4 KiB.
        let waiting = self.store.batches_waiting_max;
        require((1..=256).contains(&waiting), "store.batches_waiting_max", "must be from 1 to 256");
        require(self.decode.record_bytes_max.as_usize() >= 1_024, "decode.record_bytes_max", "must be at least 1KiB");
        require(is_identifier(&self.clickhouse.database), "clickhouse.database", "must be letters, digits and _");
        if let Some(url) = &self.clickhouse.url {
            require(is_http_url(url), "clickhouse.url", "must start with http:// or https://");
        }
        if let Some(kafka) = &self.kafka {
            require(!kafka.brokers.trim().is_empty(), "kafka.brokers", "must name at least one host:port");
            require(!kafka.group.trim().is_empty(), "kafka.group", "must not be empty");
            let mut topics = kafka.topics.inputs().to_vec();
            topics.push(&kafka.topics.dead_letters);
            topics.sort_unstable();
            topics.dedup();
            require(topics.len() == 4, "kafka.topics", "must be four different names");
            for property in KAFKA_PROPERTIES_REFUSED {
                require(
                    !kafka.properties.contains_key(property),
                    &format!("kafka.properties.\"{property}\""),
                    "cannot be set: the delivery guarantee rests on it",
                );
            }
        }
        let further = self.kafka.iter().flat_map(KafkaConfig::security_problems).chain(self.probes.problems());
        let further = further.chain(self.decode.problems());
        problems.extend(further.map(|(key, message)| Problem { key, message }));
        problems.extend(self.http.problems());
        problems.extend(self.paging.problems());
        problems.extend(self.query.problems());
        problems.extend(self.notify.problems(self.kafka.is_some()));
        problems.extend(self.status.iter().flat_map(StatusConfig::problems));
        problems.extend(self.export_problem());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// Text of the file and its name in messages; no text without a file.
fn text_of(path: Option<&Path>) -> Result<(String, String), ConfigError> {
    let Some(path) = path else { return Ok((String::new(), "defaults".to_owned())) };
    let origin = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: origin.clone(), source })?;
    Ok((text, origin))
}

fn overrides(environment: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    environment.into_iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect()
}

fn apply(table: &mut toml::Table, overrides: &[(String, String)]) -> Result<(), ConfigError> {
    for (name, value) in overrides {
        set(table, &name[ENVIRONMENT_PREFIX.len()..].to_ascii_lowercase(), value).map_err(|message| {
            ConfigError::Syntax { origin: "environment".to_owned(), message: format!("{name}: {message}") }
        })?;
    }
    Ok(())
}

pub(super) fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A parser's message, which quotes the line at fault, without the value of a key that may be a secret, misspelt or not.
pub(crate) fn without_secrets(message: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _))
            if ["pas", "pwd", "token", "secret"].iter().any(|part| key.to_ascii_lowercase().contains(part)) =>
        {
            format!("{key}= ***")
        }
        _ => line.to_owned(),
    };
    message.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a key holds a secret: `password`, `bearer_token` and their like, not the files that hold them.
fn is_secret(key: &str) -> bool {
    key.ends_with("password") || key.ends_with("token")
}

/// Sets `section__key` in `table` to `value`, read as a TOML value where it is one, else as text.
fn set(table: &mut toml::Table, path: &str, value: &str) -> Result<(), String> {
    let mut parts: Vec<&str> = path.split("__").collect();
    let Some(key) = parts.pop().filter(|key| !key.is_empty()) else {
        return Err("names no key".to_owned());
    };
    let mut section = table;
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let entry = section.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        section = match entry {
            // A list of sections: the next part counts from 0, as in `PROBES__REDIS__0__PASSWORD`.
            toml::Value::Array(list) => {
                let place = parts.next().and_then(|number| number.parse::<usize>().ok());
                let chosen = place.and_then(|place| list.get_mut(place)).and_then(toml::Value::as_table_mut);
                chosen.ok_or_else(|| format!("{part} is a list: a number of one that the file has must follow"))?
            }
            other => other.as_table_mut().ok_or_else(|| format!("{part} is a value, not a section"))?,
        };
    }
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut t| t.remove("value"))
        // A secret is text, whatever it looks like.
        .filter(|v| !v.is_datetime() && !is_secret(key));
    section.insert(key.to_owned(), parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn environment_overrides_the_file_and_creates_sections() {
        let overrides = environment(&[
            ("FLOODMARK__KAFKA__BROKERS", "broker-1:9092"),
            ("FLOODMARK__STORE__BATCH_RECORDS_MAX", "10"),
            ("HOME", "/"),
        ]);
        let config = Config::parse("[store]\nbatch_records_max = 5\n", "test", overrides).unwrap();
        assert_eq!(config.store.batch_records_max, 10);
        assert_eq!(config.kafka.unwrap().brokers, "broker-1:9092");
    }

    #[test]
    fn secrets_come_from_the_environment_also_in_lists_and_are_text_whatever_they_look_like() {
        let overrides = environment(&[
            ("FLOODMARK__CLICKHOUSE__PASSWORD", "12345"),
            ("FLOODMARK__PROBES__REDIS__0__PASSWORD", "true"),
        ]);
        let file = "[[probes.redis]]\nname = 'main'\naddress = 'redis:6379'\npassword = 'old'\n";
        let config = Config::parse(file, "test", overrides).unwrap();
        assert_eq!(config.clickhouse.secret().unwrap().unwrap().expose(), "12345");
        assert_eq!(config.probes.redis[0].secret().unwrap().unwrap().expose(), "true");
        let beyond = environment(&[("FLOODMARK__PROBES__REDIS__1__PASSWORD", "hunter2")]);
        let error = Config::parse(file, "test", beyond).unwrap_err().to_string();
        assert!(error.contains("a number of one that the file has") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn all_problems_are_reported_together_with_their_keys() {
        let text = "[flow]\nwindow = '7s'\n[clickhouse]\nurl = 'ftp://x'\ndatabase = 'a b'\n\
                    [kafka]\nbrokers = ''\n[kafka.properties]\n'enable.auto.commit' = 'true'\n";
        let config = Config::parse(text, "test", []).unwrap();
        let keys: Vec<String> = config.validate().unwrap_err().into_iter().map(|p| p.key).collect();
        assert_eq!(
            keys,
            [
                "flow.window",
                "clickhouse.database",
                "clickhouse.url",
                "kafka.brokers",
                "kafka.properties.\"enable.auto.commit\""
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_line_and_key() {
        let error = Config::parse("[store]\nbatch_record_max = 5\n", "floodmark.toml", []).unwrap_err().to_string();
        assert!(error.contains("floodmark.toml") && error.contains("line 2") && error.contains("batch_record_max"));
    }

    #[test]
    fn a_line_with_a_secret_is_not_quoted() {
        for line in ["password = 12345", "pasword = '12345'", "password = '12345", "bearer_token = [12345]"] {
            let text = format!("[clickhouse]\n{line}\n");
            let error = Config::parse(&text, "floodmark.toml", []).unwrap_err().to_string();
            assert!(error.contains("line 2") && !error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn detect_is_read_although_other_sections_hold_mistakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("floodmark.toml");
        let read = |text: &str, overrides: &[(&str, &str)]| {
            std::fs::write(&path, text).unwrap();
            Config::read_detect(Some(&path), environment(overrides))
        };
        let broken = "[flow]\nwindw = 5\n[detect]\nrules_dir = 'a'\n";
        assert_eq!(read(broken, &[]).unwrap().rules_dir, Some("a".into()));
        assert_eq!(read(broken, &[("FLOODMARK__DETECT__RULES_DIR", "b")]).unwrap().rules_dir, Some("b".into()));
        assert_eq!(read("[flow]\nwindw = 5\n", &[]), Some(DetectConfig::default()));
        assert_eq!((read("[detect]\nrules_dirr = 'a'\n", &[]), read("[detect", &[])), (None, None));
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
