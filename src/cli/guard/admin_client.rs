//! Speaks to a running proxy as an operator.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::CliError;
use crate::config::Secret;
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::is_sql_fingerprint;

/// The proxy answers from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the proxy of this policy: `GET` without a body, `POST` with one. The answer's text.
pub(super) fn ask(policy: &GuardPolicy, path: &str, body: Option<&impl Serialize>) -> Result<String, CliError> {
    let token = Secret::resolve(None, policy.proxy.admin_token_file.as_deref())
        .map_err(|error| CliError::Config(format!("proxy.admin_token_file: {error}")))?;
    let url = format!("http://{}{path}", policy.proxy.admin_listen);
    // Fails only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let text = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build()?;
        let request = match body {
            Some(body) => client.post(&url).json(body),
            None => client.get(&url),
        };
        let request = match &token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let response = request.send().await.with_context(|| format!("no guard proxy answers at {url}"))?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status.is_success(), "{url}: {status}: {}", text.trim());
        Ok(text)
    })?;
    Ok(text)
}

/// As [`ask`] without a body, with the answer read.
pub(super) fn read<T: DeserializeOwned>(policy: &GuardPolicy, path: &str) -> Result<T, CliError> {
    let text = ask(policy, path, None::<&()>)?;
    Ok(serde_json::from_str(&text).context("an answer that was not expected")?)
}

/// Gives an order, and passes on what the proxy has to say about it.
pub(super) fn order(policy: &GuardPolicy, path: &str, body: &impl Serialize) -> Result<(), CliError> {
    let note = ask(policy, path, Some(body))?;
    if !note.is_empty() {
        eprintln!("floodmark: {}", note.trim_end());
    }
    Ok(())
}

/// A fingerprint as it is pasted: letters may be large.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    let why = "16 hexadecimal digits, as `guard status`, refusals and postmortems name it";
    if is_sql_fingerprint(&text) { Ok(text) } else { Err(why.to_owned()) }
}

/// A time that an order holds for.
pub(super) fn duration(text: &str) -> Result<humantime::Duration, String> {
    let duration: humantime::Duration = text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    if duration.is_zero() { Err("a time above 0, like `30m`".to_owned()) } else { Ok(duration) }
}

/// A time as the proxy takes it, in whole seconds: never shorter than what was asked for.
pub(super) fn whole_seconds(duration: std::time::Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn a_mistyped_order_is_refused() {
        assert_eq!(super::fingerprint(" 8F2A61C09D3E75B4").as_deref(), Ok("8f2a61c09d3e75b4"));
        assert!(super::fingerprint("8f2a61c09d3e75b").is_err());
        assert!(super::duration("0s").is_err() && super::duration("30").is_err() && super::duration("30m").is_ok());
    }

    #[test]
    fn a_part_of_a_second_is_not_none() {
        let seconds = |milliseconds| super::whole_seconds(Duration::from_millis(milliseconds));
        assert_eq!([seconds(500), seconds(1_000), seconds(1_001)], [1, 1, 2]);
    }
}
