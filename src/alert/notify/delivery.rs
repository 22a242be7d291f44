//! One try to deliver a message over HTTP: the client, the request, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::NotifyError;
use super::kafka::Topic;
use super::signature::Signer;
use crate::clock;

/// What is read of an answer's body: its first words say what is wrong.
const ANSWER_BYTES_MAX: usize = 512;
const JSON: &str = "application/json";

/// A body to send.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub method: Method,
    /// `webhook-id`, for webhooks; and the id of a Kafka record.
    pub id: Option<String>,
    /// What messages about the same thing have in common: the key of a Kafka record.
    pub key: String,
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Message {
    /// A POST of JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, id: None, key: String::new(), content_type: JSON, body: body.into() }
    }

    /// A request without a body.
    pub fn empty(method: Method) -> Self {
        Self { method, ..Self::json(Bytes::new()) }
    }
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 2xx; what the receiver said.
    Delivered(String),
    /// Repeating it would change nothing.
    Refused(String),
    /// 410: the receiver wants nothing any more.
    Gone(String),
    /// May work later; the receiver may have said when.
    Retry { why: String, after: Option<Duration> },
}

/// The way to one receiver.
#[derive(Debug, Clone)]
pub(super) enum Transport {
    Http(Box<Endpoint>),
    Kafka(Topic),
}

impl Transport {
    /// Sends a message once.
    pub async fn send(self, message: Message) -> Outcome {
        match self {
            Self::Http(endpoint) => endpoint.send(message).await,
            Self::Kafka(topic) => topic.send(message).await,
        }
    }

    /// What may be shown of where it leads: scheme and host, or the topic.
    pub fn name(&self) -> &str {
        match self {
            Self::Http(endpoint) => &endpoint.name,
            Self::Kafka(topic) => &topic.name,
        }
    }
}

/// Where messages of one receiver go.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    timeout: Duration,
    signer: Signer,
    /// Scheme and host: paths of webhooks are secrets, and stay out of logs.
    name: String,
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
        Ok(Self { client, url, timeout, signer: Signer::default(), name })
    }

    /// Signs messages that have an id.
    pub fn signed(self, signer: Signer) -> Self {
        Self { signer, ..self }
    }

    async fn send(self, message: Message) -> Outcome {
        let mut request = self.client.request(message.method, self.url).timeout(self.timeout);
        if let Some(id) = &message.id {
            // The time of this try: receivers refuse what is minutes old.
            let seconds = clock::now().as_millis() / 1_000;
            request = request.header("webhook-id", id).header("webhook-timestamp", seconds);
            if let Some(signature) = self.signer.sign(id, seconds, &message.body) {
                request = request.header("webhook-signature", signature);
            }
        }
        if !message.body.is_empty() {
            request = request.header(CONTENT_TYPE, message.content_type);
        }
        match request.body(message.body).send().await {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                classify(status, &headers, &said(status, response).await)
            }
            Err(error) => Outcome::Retry { why: chain(&error.without_url()), after: None },
        }
    }
}

/// The status, and the first words of the body where there are any.
async fn said(status: StatusCode, mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
    }
    let text = String::from_utf8_lossy(&body);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { status.to_string() } else { format!("{status}: {}", words.join(" ")) }
}

/// Whether to repeat is decided here alone: 408, 429 and 5xx may pass; other 3xx and 4xx are about the request itself.
fn classify(status: StatusCode, headers: &HeaderMap, said: &str) -> Outcome {
    let said = said.to_owned();
    if status.is_success() {
        return Outcome::Delivered(said);
    }
    let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if status.is_server_error() || passing {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        return Outcome::Retry { why: said, after: seconds.map(Duration::from_secs) };
    }
    if status == StatusCode::GONE { Outcome::Gone(said) } else { Outcome::Refused(said) }
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
    fn answers_are_sorted_into_done_refused_gone_and_later() {
        let none = HeaderMap::new();
        let said = || "said".to_owned();
        for (status, outcome) in [
            (204, Outcome::Delivered(said())),
            (400, Outcome::Refused(said())),
            (410, Outcome::Gone(said())),
            (302, Outcome::Refused(said())),
            (408, Outcome::Retry { why: said(), after: None }),
            (503, Outcome::Retry { why: said(), after: None }),
        ] {
            assert_eq!(classify(StatusCode::from_u16(status).unwrap(), &none, "said"), outcome);
        }
    }

    #[test]
    fn retry_after_is_taken_over_when_it_is_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let after = |headers: &HeaderMap| match classify(StatusCode::TOO_MANY_REQUESTS, headers, "") {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse().unwrap());
        assert_eq!(after(&headers), None);
    }
}
