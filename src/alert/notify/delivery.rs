//! One try to deliver a message: the client, the request, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};

use super::NotifyError;

/// A body to send.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// `webhook-id`, for webhooks.
    pub id: Option<String>,
    /// JSON.
    pub body: Bytes,
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx.
    Delivered,
    /// Repeating it would change nothing.
    Refused(String),
    /// May work later; the receiver may have said when.
    Retry { why: String, after: Option<Duration> },
}

/// Where messages of one receiver go.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    timeout: Duration,
    /// Scheme and host: paths of webhooks are secrets, and stay out of logs.
    pub name: String,
}

impl Endpoint {
    /// # Errors
    /// The URL is none, or the system's root certificates cannot be read and `https` needs them.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, NotifyError> {
        let url = Url::parse(url).map_err(|_| NotifyError::Url)?;
        let name = url.origin().ascii_serialization();
        // A redirected POST becomes a GET: the message would be lost and called delivered.
        let mut builder = Client::builder().redirect(reqwest::redirect::Policy::none());
        builder = builder.user_agent(concat!("floodmark/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "http" {
            // No root certificates: a machine without any can still reach plain receivers.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|source| NotifyError::Client { name: name.clone(), source })?;
        Ok(Self { client, url, timeout, name })
    }

    /// Sends a message once.
    pub async fn send(self, message: Message) -> Outcome {
        let mut request = self.client.post(self.url).header(CONTENT_TYPE, "application/json");
        if let Some(id) = &message.id {
            request = request.header("webhook-id", id);
        }
        match request.timeout(self.timeout).body(message.body).send().await {
            Ok(response) => classify(response.status(), response.headers()),
            Err(error) => Outcome::Retry { why: chain(&error.without_url()), after: None },
        }
    }
}

/// Whether to repeat is decided here alone: 408, 429 and 5xx may pass; other 3xx and 4xx are about the request itself.
fn classify(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if status.is_server_error() || passing {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        return Outcome::Retry { why: status.to_string(), after: seconds.map(Duration::from_secs) };
    }
    Outcome::Refused(status.to_string())
}

/// The error with its causes: the outermost alone says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_into_done_refused_and_later() {
        let none = HeaderMap::new();
        for (status, outcome) in [
            (204, Outcome::Delivered),
            (400, Outcome::Refused("400 Bad Request".to_owned())),
            (410, Outcome::Refused("410 Gone".to_owned())),
            (302, Outcome::Refused("302 Found".to_owned())),
            (408, Outcome::Retry { why: "408 Request Timeout".to_owned(), after: None }),
            (503, Outcome::Retry { why: "503 Service Unavailable".to_owned(), after: None }),
        ] {
            assert_eq!(classify(StatusCode::from_u16(status).unwrap(), &none), outcome);
        }
    }

    #[test]
    fn retry_after_is_taken_over_when_it_is_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let after = |headers: &HeaderMap| match classify(StatusCode::TOO_MANY_REQUESTS, headers) {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse().unwrap());
        assert_eq!(after(&headers), None);
    }
}
