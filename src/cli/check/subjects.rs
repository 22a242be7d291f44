//! What can be checked without any engine, a function a subject.

use std::collections::BTreeSet;
use std::path::Path;

use super::Outcome;
use crate::alert::notify::Trial;
use crate::app;
use crate::config::{Config, ConfigError, DetectConfig, ReceiverType};
use crate::guard::policy::{GuardPolicy, check};
use crate::ingest::{REQUESTS_NOT_NATIVE, requests_are_native};
use crate::listener::tls_acceptor;
use crate::sim::{AmplitudeSpec, NAMES, ScenarioError, ScenarioFile};
use crate::store::{MIGRATIONS, Migration};

/// The configuration, as far as it can be used.
pub(super) struct Configuration {
    /// What was found.
    pub outcome: Outcome,
    /// The configuration, when nothing is wrong with it.
    pub usable: Option<Config>,
    /// Where rules and limits are, although something else may be wrong.
    pub detect: Option<DetectConfig>,
}

/// Checks file and environment.
pub(super) fn configuration(path: Option<&Path>, environment: &[(String, String)]) -> Configuration {
    let environment = || environment.iter().cloned();
    let config = match Config::read(path, environment()) {
        Ok(config) => config,
        Err(error) => {
            let detect = Config::read_detect(path, environment());
            return Configuration { outcome: Outcome::Problems(problems_of(&error)), usable: None, detect };
        }
    };
    let detect = Some(config.detect.clone());
    match config.validate() {
        Ok(()) => {
            let origin = path.map_or_else(|| "no file: every key has its default".to_owned(), shown);
            Configuration { outcome: Outcome::Well(origin), usable: Some(config), detect }
        }
        Err(problems) => {
            let problems = problems_of(&ConfigError::Invalid(problems));
            Configuration { outcome: Outcome::Problems(problems), usable: None, detect }
        }
    }
}

fn problems_of(error: &ConfigError) -> Vec<String> {
    match error {
        ConfigError::Invalid(problems) => problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect(),
        ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } => vec![error.to_string()],
    }
}

/// Checks the guard's policy.
pub(super) fn guard(path: &Path) -> Outcome {
    let policy = match GuardPolicy::load(path) {
        Ok(policy) => policy,
        Err(error) => return Outcome::Problems(vec![error.to_string()]),
    };
    let holes = check(&policy).holes;
    if holes.is_empty() {
        let (classes, tenants) = (policy.classes.len(), policy.tenants.len());
        Outcome::Well(format!("{classes} classes, {tenants} tenants, {}", shown(path)))
    } else {
        Outcome::Problems(holes.iter().map(ToString::to_string).collect())
    }
}

/// Checks the rules in force.
pub(super) fn rules(rules_dir: Option<&Path>, detect: Option<&DetectConfig>) -> Outcome {
    let default = DetectConfig::default();
    let Some(detect) = detect.or(rules_dir.map(|_| &default)) else { return unknown("rules") };
    match app::rules(detect, rules_dir) {
        Ok(rules) => {
            let alerts: BTreeSet<_> = rules.rules.iter().map(|rule| rule.alert).collect();
            let origin = rules_dir.or(detect.rules_dir.as_deref()).map_or_else(built_in, shown);
            Outcome::Well(format!("{} rules for {} alerts, {origin}", rules.rules.len(), alerts.len()))
        }
        Err(error) => Outcome::Problems(error.0.iter().map(ToString::to_string).collect()),
    }
}

/// Checks the service level objectives, where there are any.
pub(super) fn objectives(detect: Option<&DetectConfig>) -> Option<Outcome> {
    let detect = detect?;
    let directory = detect.slos_dir.as_deref()?;
    Some(match app::objectives(detect) {
        Ok(slos) => {
            let count = slos.slos.len();
            Outcome::Well(format!("{count} objective{}, {}", if count == 1 { "" } else { "s" }, shown(directory)))
        }
        Err(error) => Outcome::Problems(error.0.iter().map(ToString::to_string).collect()),
    })
}

/// Checks the limits in force.
pub(super) fn limits(detect: Option<&DetectConfig>) -> Outcome {
    let Some(detect) = detect else { return unknown("limits") };
    match app::limits(detect) {
        Ok(limits) => {
            let origin = detect.limits_file.as_deref().map_or_else(built_in, shown);
            let count = limits.limits.len();
            Outcome::Well(format!("{count} limit{}, {origin}", if count == 1 { "" } else { "s" }))
        }
        Err(error) => Outcome::Problems(error.0),
    }
}

/// Checks the built-in scenarios and `files`.
pub(super) fn scenarios(files: &[String]) -> Outcome {
    let names = NAMES.iter().copied().chain(files.iter().map(String::as_str));
    let problems: Vec<String> = names.flat_map(scenario_errors).flat_map(|error| scenario_problems(&error)).collect();
    if !problems.is_empty() {
        return Outcome::Problems(problems);
    }
    let built_in = format!("{} built in", NAMES.len());
    let checked: Vec<String> = std::iter::once(built_in).chain(files.iter().cloned()).collect();
    Outcome::Well(checked.join(", "))
}

/// What is wrong with a scenario, as it stands or at any of its amplitudes.
fn scenario_errors(name: &str) -> Vec<ScenarioError> {
    let scenario = match ScenarioFile::load(name, None) {
        Ok(scenario) => scenario,
        Err(error) => return vec![error],
    };
    let amplitudes = scenario.amplitude().map(AmplitudeSpec::all).unwrap_or_default();
    amplitudes.into_iter().filter_map(|amplitude| ScenarioFile::load(name, Some(amplitude)).err()).collect()
}

/// Checks the SQL that makes the schema.
pub(super) fn schema() -> Outcome {
    let problems: Vec<String> =
        MIGRATIONS.iter().zip(1..).filter_map(|(m, number)| schema_problem(m, number)).collect();
    if problems.is_empty() {
        Outcome::Well(format!("{} migrations, built in", MIGRATIONS.len()))
    } else {
        Outcome::Problems(problems)
    }
}

/// Checks certificate and key, and says whether records are taken and where they go.
pub(super) fn http(config: Option<&Config>) -> Outcome {
    let Some(config) = config else { return Outcome::Skipped("the configuration cannot be used".to_owned()) };
    if let Some(Err(error)) = config.http.tls.as_ref().map(|tls| tls_acceptor("http.tls", tls)) {
        return Outcome::Problems(vec![error.to_string()]);
    }
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let records = match (config.http.ingest, &config.kafka) {
        (false, Some(_)) => "takes no records (http.ingest = false)",
        (false, None) => return Outcome::Problems(vec!["http.ingest: is false, and there is no [kafka]".to_owned()]),
        (true, None) => "records are stored: there is no [kafka]",
        (true, Some(_)) if requests_are_native(&config.decode) => "records go to Kafka",
        (true, Some(_)) => REQUESTS_NOT_NATIVE,
    };
    Outcome::Well(format!("{scheme}://{}; {records}", config.http.listen))
}

/// Sets every receiver up, without sending anything: are the files with their secrets there, and what they should be?
pub(super) fn receivers(config: Option<&Config>) -> Outcome {
    let Some(config) = config else { return Outcome::Skipped("the configuration cannot be used".to_owned()) };
    let notify = &config.notify;
    // A producer would begin to look for its brokers; that is for --online.
    let with_files = notify.receivers.iter().filter(|receiver| receiver.kind != ReceiverType::Kafka);
    let problems: Vec<String> =
        with_files.filter_map(|receiver| Trial::new(receiver, None).err()).map(|error| error.to_string()).collect();
    if !problems.is_empty() {
        return Outcome::Problems(problems);
    }
    let webhooks = notify.webhooks.iter().map(|_| "a webhook".to_owned());
    let alertmanager = notify.alertmanager.iter().map(|_| "Alertmanager".to_owned());
    let named = notify.receivers.iter().map(|receiver| format!("{} ({})", receiver.name, receiver.kind.as_str()));
    let all: Vec<String> = webhooks.chain(alertmanager).chain(named).collect();
    if all.is_empty() {
        return Outcome::Well("none: alerts go to the log and to ClickHouse only".to_owned());
    }
    let count = notify.routes.len();
    let routes = format!("{count} route{}", if count == 1 { "" } else { "s" });
    Outcome::Well(format!("{}; {routes}; outboxes in {}", all.join(", "), shown(&config.notify_state_dir())))
}

fn schema_problem(migration: &Migration, number: u32) -> Option<String> {
    let problem = if migration.number != number {
        format!("is not number {number}: a number is missing or there twice")
    } else if !migration.sql.contains("{database}") {
        "does not say {database}".to_owned()
    } else {
        return None;
    };
    Some(format!("queries/schema/{:04}_{}.sql: {problem}", migration.number, migration.name))
}

fn scenario_problems(error: &ScenarioError) -> Vec<String> {
    match error {
        ScenarioError::Invalid { origin, problems } => {
            problems.iter().map(|p| format!("{origin}: {}: {}", p.key, p.message)).collect()
        }
        other => vec![other.to_string()],
    }
}

fn unknown(what: &str) -> Outcome {
    Outcome::Skipped(format!("which {what} are in force cannot be told from this configuration"))
}

fn built_in() -> String {
    "built in".to_owned()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
