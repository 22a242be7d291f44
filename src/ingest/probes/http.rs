//! One HTTP request with a deadline and a bound on its answer: for Prometheus endpoints and ClickHouse.
//!
//! The probe of ClickHouse speaks HTTP itself, not through `store`: the two halves of the service do not know each
//! other, and here the answer's length is bounded while it is read.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};

use super::ProbeError;
use crate::client_tls;

/// A client of one target; it keeps its connection between looks.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: Client,
    timeout: Duration,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// ClickHouse's exception code, if the answer has one.
    pub exception_code: Option<i32>,
    pub body: Vec<u8>,
}

impl HttpClient {
    /// For the server at `url`, trusting `ca_file` or the system.
    pub fn new(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, ProbeError> {
        let plain = url.starts_with("http:");
        let tls = if plain { client_tls::trusting_nobody()? } else { client_tls::client_config(ca_file)? };
        let client = Client::builder()
            .no_proxy()
            // A redirect could carry the password elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("floodmark/", env!("CARGO_PKG_VERSION"), " probe"))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| ProbeError::Unreachable(in_words(&error)))?;
        Ok(Self { client, timeout })
    }

    /// Sends what `request` makes, and reads at most `bytes_max` of the answer.
    pub async fn ask(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
        bytes_max: usize,
    ) -> Result<Answer, ProbeError> {
        let asked = async {
            let response = request(&self.client).send().await.map_err(unreachable)?;
            read(response, bytes_max).await
        };
        tokio::time::timeout(self.timeout, asked).await.map_err(|_| ProbeError::TimedOut(self.timeout))?
    }
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Answer, ProbeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(ProbeError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    let code = response.headers().get("x-clickhouse-exception-code");
    let exception_code = code.and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Answer { status: response.status().as_u16(), exception_code, body })
}

// Taken by value because that is what `map_err` gives.
fn unreachable(error: reqwest::Error) -> ProbeError {
    ProbeError::Unreachable(in_words(&error.without_url()))
}

/// An error with its causes: the outermost alone says no more than "error sending request".
fn in_words(error: &reqwest::Error) -> String {
    let error: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
