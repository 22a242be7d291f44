//! Receivers from their configuration.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::book::{Book, BookTimes};
use super::delivery::{Endpoint, Transport};
use super::heartbeat::Heartbeat;
use super::kafka::Topic;
use super::outbox::Outbox;
use super::receiver::{Identity, Queue, Receiver};
use super::render::Rendering;
use super::signature::Signer;
use super::{NotifyError, Pace};
use crate::alert::Rules;
use crate::config::{
    BodyFormat, KafkaConfig, NotifyConfig, ReceiverConfig, ReceiverType, Secret, Span, SubscriberConfig,
};
use crate::metrics::{Metrics, ReceiverKind};

/// Where PagerDuty takes events, unless the configuration says another region's address.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// What all receivers are made with.
pub(super) struct Making<'a> {
    pub kafka: Option<&'a KafkaConfig>,
    pub pace: Pace,
    pub rules: watch::Receiver<Arc<Rules>>,
    pub metrics: &'a Arc<Metrics>,
}

impl Making<'_> {
    /// All receivers of a configuration.
    pub fn receivers(&self, config: &NotifyConfig) -> Result<Vec<Receiver>, NotifyError> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut receivers = Vec::new();
        for webhook in &config.webhooks {
            let transport = http(Endpoint::new(&webhook.url, webhook.timeout.0)?);
            // Their place may change with the next configuration: the URL is what they are known by.
            let identity = unnamed(ReceiverKind::Webhook, &webhook.url);
            let rendering = Rendering::Body { format: BodyFormat::Transition, receiver: identity.name.as_str().into() };
            receivers.push(self.receiver(identity, transport, outbox(rendering)));
        }
        if let Some(alertmanager) = &config.alertmanager {
            for url in &alertmanager.urls {
                let identity = unnamed(ReceiverKind::Alertmanager, url);
                receivers.push(self.replica(identity, url, alertmanager.timeout, alertmanager.resend_interval)?);
            }
        }
        for receiver in &config.receivers {
            receivers.extend(self.named(receiver)?);
        }
        Ok(receivers)
    }

    /// A subscriber of the status page.
    pub fn subscriber(&self, config: &SubscriberConfig) -> Result<Receiver, NotifyError> {
        let problem = |why: String| NotifyError::Receiver { name: config.name.clone(), why };
        let secrets = config.secret_file.as_deref().map(|path| secret("secret_file", path)).transpose();
        let signer = secrets.and_then(|secrets| secrets.as_ref().map(Signer::new).transpose()).map_err(problem)?;
        let endpoint = Endpoint::new(&config.url, config.timeout.0)?.signed(signer.unwrap_or_default());
        // A name of the configuration holds no dot, so this is no receiver's. No route leads to it.
        let identity = Identity {
            name: format!("subscriber.{}", config.name),
            kind: ReceiverKind::Subscriber,
            route: Some(format!("subscriber.{}", config.name)),
        };
        Ok(self.receiver(identity, http(endpoint), outbox(Rendering::News)))
    }

    /// A named receiver: one, or one for each replica.
    pub fn named(&self, config: &ReceiverConfig) -> Result<Vec<Receiver>, NotifyError> {
        let problem = |why: String| NotifyError::Receiver { name: config.name.clone(), why };
        let kind = kind_of(config.kind);
        let (name, timeout) = (config.name.clone(), config.timeout);
        let identity = || Identity { name: name.clone(), kind, route: Some(name.clone()) };
        let to_url = || Endpoint::new(&url(config).map_err(problem)?, timeout.0);
        let format = config.body.unwrap_or_default();
        let body = || outbox(Rendering::Body { format, receiver: name.as_str().into() });
        let (transport, queue) = match config.kind {
            ReceiverType::Webhook => {
                let secrets = config.secret_file.as_deref().map(|path| secret("secret_file", path)).transpose();
                let signer =
                    secrets.and_then(|secrets| secrets.as_ref().map(Signer::new).transpose()).map_err(problem)?;
                (http(to_url()?.signed(signer.unwrap_or_default())), body())
            }
            ReceiverType::Slack => (http(to_url()?), outbox(Rendering::Slack)),
            ReceiverType::Pagerduty => {
                let path = config.routing_key_file.as_deref().unwrap_or(Path::new(""));
                let routing_key = secret("routing_key_file", path).map_err(problem)?;
                let endpoint = Endpoint::new(config.url.as_deref().unwrap_or(PAGERDUTY_URL), timeout.0)?;
                (http(endpoint), outbox(Rendering::Pagerduty { routing_key }))
            }
            ReceiverType::Kafka => {
                let kafka = self.kafka.ok_or_else(|| problem("needs a [kafka] section".to_owned()))?;
                let topic = config.topic.as_deref().unwrap_or_default();
                (Transport::Kafka(Topic::new(kafka, topic, timeout.0)?), body())
            }
            ReceiverType::Alertmanager => {
                let replica = |url: &String| {
                    let identity = Identity { name: format!("{name}-{}", hash(url)), ..identity() };
                    self.replica(identity, url, timeout, config.interval())
                };
                return config.urls.iter().map(replica).collect();
            }
            ReceiverType::Heartbeat => {
                let method = config.method.unwrap_or_default();
                let heartbeat = Heartbeat::new(method, config.interval().0, Instant::now());
                (http(to_url()?), Queue::Heartbeat(heartbeat))
            }
        };
        Ok(vec![self.receiver(identity(), transport, queue)])
    }

    fn replica(&self, identity: Identity, url: &str, timeout: Span, resend: Span) -> Result<Receiver, NotifyError> {
        let endpoint = Endpoint::new(&format!("{}/api/v2/alerts", url.trim_end_matches('/')), timeout.0)?;
        let Pace { resolved_for, restored_for, .. } = self.pace;
        let times = BookTimes { resend_interval: resend.0, resolved_for, restored_for };
        let book = Book::new(times, self.rules.clone());
        Ok(self.receiver(identity, http(endpoint), Queue::Alertmanager(book)))
    }

    fn receiver(&self, identity: Identity, transport: Transport, queue: Queue) -> Receiver {
        Receiver::new(identity, transport, queue, self.pace, Arc::clone(self.metrics))
    }
}

fn kind_of(kind: ReceiverType) -> ReceiverKind {
    match kind {
        ReceiverType::Webhook => ReceiverKind::Webhook,
        ReceiverType::Slack => ReceiverKind::Slack,
        ReceiverType::Pagerduty => ReceiverKind::Pagerduty,
        ReceiverType::Kafka => ReceiverKind::Kafka,
        ReceiverType::Alertmanager => ReceiverKind::Alertmanager,
        ReceiverType::Heartbeat => ReceiverKind::Heartbeat,
    }
}

fn http(endpoint: Endpoint) -> Transport {
    Transport::Http(Box::new(endpoint))
}

fn outbox(rendering: Rendering) -> Queue {
    Queue::Outbox { outbox: Outbox::default(), rendering }
}

fn unnamed(kind: ReceiverKind, url: &str) -> Identity {
    // A name of the configuration holds no dot, so this is nobody else's.
    Identity { name: format!("{}.{}", kind.as_str(), hash(url)), kind, route: None }
}

/// Eight hexadecimal digits of a URL, which itself may be a secret.
fn hash(url: &str) -> String {
    Sha256::digest(url.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn url(config: &ReceiverConfig) -> Result<String, String> {
    match (&config.url, &config.url_file) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(path)) => secret("url_file", path).map(|url| url.expose().trim().to_owned()),
        (None, None) => Err("url: is missing".to_owned()),
    }
}

/// A file that holds a secret; an empty one holds none.
fn secret(key: &str, path: &Path) -> Result<Secret, String> {
    let secret = Secret::from_file(path).map_err(|error| format!("{key}: {error}"))?;
    if secret.expose().trim().is_empty() {
        return Err(format!("{key}: {} is empty", path.display()));
    }
    Ok(secret)
}
