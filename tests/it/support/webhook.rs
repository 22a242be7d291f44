//! Somebody's webhook: takes every transition and keeps its bytes.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use floodmark::config::Span;
use floodmark::config::WebhookConfig;
use tokio::sync::watch;

use super::service::PATIENCE;

/// A receiver on a port of its own.
pub struct Webhook {
    pub config: WebhookConfig,
    bodies: watch::Sender<Vec<String>>,
}

impl Webhook {
    /// Starts a receiver.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/transitions", listener.local_addr().unwrap());
        let bodies = watch::Sender::new(Vec::new());
        let router = Router::new().route("/transitions", post(take)).with_state(bodies.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { config: WebhookConfig { url, timeout: Span::from_secs(10) }, bodies }
    }

    /// Waits until what has come satisfies `enough`, and gives the bodies in order.
    pub async fn until(&self, what: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut receiver = self.bodies.subscribe();
        let waited = tokio::time::timeout(PATIENCE, receiver.wait_for(|bodies| enough(bodies))).await;
        let bodies = waited.unwrap_or_else(|_| panic!("{what}: {:#?}", self.bodies.borrow())).unwrap();
        bodies.clone()
    }
}

async fn take(State(bodies): State<watch::Sender<Vec<String>>>, body: String) {
    bodies.send_modify(|bodies| bodies.push(body));
}
