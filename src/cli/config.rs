//! `floodmark config`: what is in force, and what may be written.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use super::{CliError, Globals};
use crate::alert::{Rules, Slos};
use crate::config::{Config, KafkaConfig, ReceiverType};

/// Stands for what is not shown.
const REDACTED: &str = "(redacted)";

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floodmark config print --config floodmark.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the configuration in force: defaults, file and environment together, secrets left out
    #[command(after_help = "Example: FLOODMARK__FLOW__WINDOW=10s floodmark config print --config floodmark.toml")]
    Print {
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        output: Form,
    },
    /// Write the JSON Schema of a file, for editors
    #[command(after_help = "Examples:\n  floodmark config schema > floodmark.schema.json\n  \
                            floodmark config schema rules > alerts/rules.schema.json")]
    Schema {
        /// Which file
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
}

/// Forms of a configuration.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Form {
    /// As a configuration file
    #[default]
    Toml,
    /// JSON for programs
    Json,
}

/// Files that have a schema.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum SchemaOf {
    /// The configuration file
    #[default]
    Config,
    /// A rule file (`detect.rules_dir`)
    Rules,
    /// A service level objective (`detect.slos_dir`)
    Slos,
}

/// Runs the command.
///
/// # Errors
/// A configuration that cannot be used, or stdout that cannot be written.
pub fn run(globals: &Globals, args: &Args) -> Result<ExitCode, CliError> {
    let text = match &args.command {
        Command::Print { output } => print(&globals.load_config()?, *output)?,
        Command::Schema { of: SchemaOf::Config } => pretty_json(&schemars::schema_for!(Config))?,
        Command::Schema { of: SchemaOf::Rules } => pretty_json(&Rules::schema())?,
        Command::Schema { of: SchemaOf::Slos } => pretty_json(&Slos::schema())?,
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn print(config: &Config, form: Form) -> Result<String, CliError> {
    let config = redacted(config);
    match form {
        Form::Toml => Ok(toml::to_string(&config).context("cannot write the configuration as TOML")?),
        Form::Json => pretty_json(&config),
    }
}

fn pretty_json(value: &impl serde::Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n")
}

/// The configuration without what is secret in it. Values of type `Secret` hide themselves; what remains are credentials
/// that people put into URLs and Kafka properties, and the path of a webhook, which is its password.
fn redacted(config: &Config) -> Config {
    let mut config = config.clone();
    if let Some(url) = &mut config.clickhouse.url {
        *url = without_credentials(url, false);
    }
    for token in &mut config.http.tokens {
        REDACTED.clone_into(&mut token.sha256);
    }
    for webhook in &mut config.notify.webhooks {
        webhook.url = without_credentials(&webhook.url, true);
    }
    for url in config.notify.alertmanager.iter_mut().flat_map(|alertmanager| &mut alertmanager.urls) {
        *url = without_credentials(url, false);
    }
    for receiver in &mut config.notify.receivers {
        let path_is_secret = receiver.kind != ReceiverType::Alertmanager;
        for url in receiver.url.iter_mut().chain(&mut receiver.urls) {
            *url = without_credentials(url, path_is_secret);
        }
    }
    for url in config.probes.prometheus.iter_mut().map(|probe| &mut probe.url) {
        *url = without_credentials(url, false);
    }
    for url in config.probes.clickhouse.iter_mut().map(|probe| &mut probe.url) {
        *url = without_credentials(url, false);
    }
    for (name, value) in config.kafka.iter_mut().flat_map(|kafka| &mut kafka.properties) {
        if KafkaConfig::is_secret_property(name) {
            REDACTED.clone_into(value);
        }
    }
    config
}

/// A URL without user, password and query, and without its path where that is a secret too.
pub(super) fn without_credentials(text: &str, path_is_secret: bool) -> String {
    let Ok(url) = reqwest::Url::parse(text) else { return REDACTED.to_owned() };
    let secret_path = path_is_secret && (url.path() != "/" || url.query().is_some());
    if url.username().is_empty() && url.password().is_none() && url.query().is_none() && !secret_path {
        return text.to_owned();
    }
    let path = if secret_path { format!("/{REDACTED}") } else { url.path().to_owned() };
    format!("{}{path}", url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        AlertmanagerConfig, ClickHouseConfig, HttpConfig, NotifyConfig, Scope, Secret, Span, TokenConfig, WebhookConfig,
    };

    #[test]
    fn no_secret_is_printed() {
        let text = |text: &str| text.to_owned();
        let second = Span::from_secs(1);
        let token = TokenConfig {
            name: text("shipper"),
            sha256: text("hunter2"),
            scopes: vec![Scope::Ingest],
            subscription: None,
        };
        let config = Config {
            http: HttpConfig { tokens: vec![token], ..Default::default() },
            clickhouse: ClickHouseConfig {
                url: Some(text("http://u:hunter2@ch:8123/x")),
                password: Some(Secret::new("hunter2")),
                ..Default::default()
            },
            probes: toml::from_str(
                "[[redis]]\nname = 'r'\naddress = 'r:1'\npassword = 'hunter2'\n\
                 [[prometheus]]\nname = 'p'\nurl = 'http://p/?token=hunter2'\nbearer_token = 'hunter2'\nmetrics = []\n\
                 [[clickhouse]]\nname = 'c'\nurl = 'http://u:hunter2@c'\npassword = 'hunter2'\n",
            )
            .unwrap(),
            kafka: Some(KafkaConfig {
                properties: [("sasl.password", "hunter2"), ("security.protocol", "SASL_SSL")]
                    .map(|(name, value)| (text(name), text(value)))
                    .into(),
                ..Default::default()
            }),
            notify: NotifyConfig {
                receivers: toml::from_str::<NotifyConfig>(
                    "[[receivers]]\nname = 'r'\nkind = 'webhook'\nurl = 'http://named.example.com/hunter2'\n\
                     [[receivers]]\nname = 'am'\nkind = 'alertmanager'\nurls = ['http://a:hunter2@am:9093/x']\n",
                )
                .unwrap()
                .receivers,
                webhooks: vec![WebhookConfig { url: text("https://hooks.example.com/T0/hunter2"), timeout: second }],
                alertmanager: Some(AlertmanagerConfig {
                    urls: vec![text("http://am:9093/prefix"), text("http://a:hunter2@am:9093")],
                    resend_interval: second,
                    timeout: second,
                }),
                ..Default::default()
            },
            ..Default::default()
        };
        for form in [Form::Toml, Form::Json] {
            let printed = print(&config, form).unwrap();
            assert!(!printed.contains("hunter2"), "{printed}");
            for kept in [
                "shipper",
                "SASL_SSL",
                "http://ch:8123/x",
                "https://hooks.example.com/(redacted)",
                "http://am:9093/prefix",
                "http://named.example.com/(redacted)",
                "http://am:9093/x",
            ] {
                assert!(printed.contains(kept), "{kept} in {printed}");
            }
        }
    }
}
