//! Whether the engines answer, and what the probes would tell. All are asked at the same time, each with a deadline.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};

use super::{Outcome, Subject};
use crate::cli::config::without_credentials;
use crate::client_tls;
use crate::config::{ClickHouseConfig, Config, KafkaConfig};
use crate::ingest;

/// An engine that has not answered by then is as good as down.
const DEADLINE: Duration = Duration::from_secs(10);
/// What is read of an answer: a version, or the first words of an error.
const ANSWER_BYTES_MAX: usize = 4_096;
/// What is shown of an error.
const ERROR_CHARACTERS_MAX: usize = 300;

/// Asks Kafka, ClickHouse and the targets of all probes.
pub(super) fn ask(config: Option<&Config>) -> Vec<(Subject, Outcome)> {
    let Some(config) = config else {
        let skipped = || Outcome::Skipped("the configuration cannot be used".to_owned());
        return vec![(Subject::Kafka, skipped()), (Subject::ClickHouse, skipped())];
    };
    std::thread::scope(|scope| {
        let kafka = scope.spawn(|| kafka(config.kafka.as_ref()));
        let probes = scope.spawn(|| super::probes::look(&config.probes));
        let clickhouse = clickhouse(config);
        let panicked = |_| Outcome::Problems(vec!["kafka: the check failed".to_owned()]);
        let mut findings =
            vec![(Subject::Kafka, kafka.join().unwrap_or_else(panicked)), (Subject::ClickHouse, clickhouse)];
        let panicked = |_| vec![Outcome::Problems(vec!["probes: the check failed".to_owned()])];
        let probes = probes.join().unwrap_or_else(panicked);
        findings.extend(probes.into_iter().map(|outcome| (Subject::Probe, outcome)));
        findings
    })
}

fn kafka(kafka: Option<&KafkaConfig>) -> Outcome {
    let Some(kafka) = kafka else {
        return Outcome::Skipped("no [kafka] section: `run` needs one, `demo` starts a broker of its own".to_owned());
    };
    let topics = match ingest::check_topics(kafka, DEADLINE) {
        Ok(topics) => topics,
        Err(error) => return Outcome::Problems(vec![format!("kafka.brokers: {error}")]),
    };
    let problem = |probe: &ingest::TopicCheck| {
        let problem = probe.partitions.as_ref().err()?;
        Some(format!("kafka.topics: {} {problem}", probe.topic))
    };
    let problems: Vec<String> = topics.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        return Outcome::Problems(problems);
    }
    let counted = topics.iter().map(|probe| format!("{} ({})", probe.topic, probe.partitions.as_ref().unwrap_or(&0)));
    Outcome::Well(format!("{}; partitions of {}", kafka.brokers, counted.collect::<Vec<_>>().join(", ")))
}

fn clickhouse(config: &Config) -> Outcome {
    let Some(url) = &config.clickhouse.url else { return local_engine(config) };
    let name = without_credentials(url, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        // The deadline needs the runtime's timer: it is set inside.
        let answer = runtime.block_on(async { tokio::time::timeout(DEADLINE, version(url, &config.clickhouse)).await });
        answer.unwrap_or_else(|_| Err(format!("no answer within {}", humantime::format_duration(DEADLINE))))
    });
    match asked {
        Ok(version) => Outcome::Well(format!("{name}; ClickHouse {version}")),
        Err(problem) => Outcome::Problems(vec![format!("clickhouse.url: {name}: {problem}")]),
    }
}

fn local_engine(config: &Config) -> Outcome {
    let library = &config.local.clickhouse_library;
    if library.is_file() {
        return Outcome::Well(format!("local engine, {}", library.display()));
    }
    let problem = format!("{} does not exist; `make engines` fetches it", library.display());
    Outcome::Problems(vec![format!("local.clickhouse_library: {problem}")])
}

/// The server's version: it answers, and takes user and password.
async fn version(url: &str, config: &ClickHouseConfig) -> Result<String, String> {
    let password = config.secret().map_err(|error| format!("clickhouse.password_file: {error}"))?;
    let client = client(url, config.ca_file.as_deref())?;
    let url = url.trim_end_matches('/');
    let ping = client.get(format!("{url}/ping")).send().await.map_err(|error| in_words(&error.without_url()))?;
    let (status, body) = answer(ping).await?;
    if status != StatusCode::OK || body != "Ok." {
        return Err(format!("/ping is answered with {status} {body}: this is no ClickHouse, or one that is not ready"));
    }
    let mut query = client.get(format!("{url}/?query=SELECT%20version()")).header("x-clickhouse-user", &config.user);
    if let Some(password) = password {
        query = query.header("x-clickhouse-key", password.expose());
    }
    let (status, body) = answer(query.send().await.map_err(|error| in_words(&error.without_url()))?).await?;
    if status == StatusCode::OK { Ok(body) } else { Err(format!("SELECT version() is answered with {status}: {body}")) }
}

fn client(url: &str, ca_file: Option<&Path>) -> Result<Client, String> {
    // No root certificates: a machine without any can still reach a plain server.
    let plain = url.starts_with("http:");
    let tls = if plain { client_tls::trusting_nobody() } else { client_tls::client_config(ca_file) };
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let tls = tls.map_err(|error| format!("clickhouse.ca_file: {error}"))?;
    builder.tls_backend_preconfigured(tls).build().map_err(|error| in_words(&error))
}

async fn answer(mut response: Response) -> Result<(StatusCode, String), String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| in_words(&error.without_url()))? {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_BYTES_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let first_line = text.lines().next().unwrap_or_default();
    Ok((response.status(), first_line.trim().chars().take(ERROR_CHARACTERS_MAX).collect()))
}

/// An error with its causes: the outermost alone says no more than "error sending request".
fn in_words(error: &reqwest::Error) -> String {
    let error: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
