//! Speaks to a running service.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::cli::output::say;
use crate::cli::{CliError, Globals};
use crate::client_tls;
use crate::config::Secret;
use crate::postmortem::plain;

/// The service answers from memory, or from ClickHouse within its own time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the service is, and who asks.
#[derive(Debug, clap::Args)]
pub struct ServiceArgs {
    /// Where the service is [default: http.listen of the configuration]
    #[arg(long, value_name = "URL", env = "FLOODMARK_URL")]
    url: Option<String>,
    /// File that holds a bearer token
    #[arg(long, value_name = "FILE", env = "FLOODMARK_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl ServiceArgs {
    /// Asks the service; gives what it answers.
    pub fn ask(&self, globals: &Globals, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let base = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => address_of(globals)?,
        };
        let token = Secret::resolve(None, self.token_file.as_deref())
            .map_err(|error| CliError::Config(format!("--token-file: {error}")))?;
        let url = format!("{base}{path}");
        let client = self.client(&base)?;
        let request = client.request(method, &url);
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token.expose()));
        let request = body.iter().fold(request, |request, body| request.json(body));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        Ok(runtime.block_on(answer(request, &url))?)
    }

    fn client(&self, base: &str) -> Result<reqwest::Client, CliError> {
        // Fails only when a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
        let builder = if base.starts_with("https://") {
            let tls = client_tls::client_config(self.ca_file.as_deref())
                .map_err(|error| CliError::Config(format!("--ca-file: {error}")))?;
            builder.tls_backend_preconfigured(tls)
        } else {
            builder.tls_certs_only([])
        };
        Ok(builder.build().context("cannot set up HTTP")?)
    }
}

fn address_of(globals: &Globals) -> Result<String, CliError> {
    let http = globals.load_config()?.http;
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", http.listen))
}

async fn answer(request: RequestBuilder, url: &str) -> anyhow::Result<Value> {
    let response = request.send().await.with_context(|| format!("no service answers at {url}"))?;
    let status = response.status();
    let text = response.text().await.context("the answer broke off")?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(value);
    }
    let detail = value["detail"].as_str().map_or_else(|| text.trim().to_owned(), str::to_owned);
    anyhow::bail!("{status}: {detail}")
}

/// A part of a path.
pub fn encoded(part: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A text of an answer; empty where there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The same for a terminal: names in logs and answers of receivers are written by strangers, and must not command it.
pub fn shown(value: &Value, name: &str) -> String {
    plain(text(value, name))
}

/// Prints an answer as it came.
pub fn print_json(value: &Value) -> Result<(), CliError> {
    say(&serde_json::to_string_pretty(value).context("cannot write the answer")?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_key_is_one_part_of_a_path() {
        assert_eq!(super::encoded("20260301T101000Z-a/b c%"), "20260301T101000Z-a%2Fb%20c%25");
    }
}
