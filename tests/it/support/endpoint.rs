//! Somebody's HTTP endpoint, as a receiver: keeps what it got, and answers by rules of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::service::PATIENCE;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: Instant,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What was answered.
    pub status: u16,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// What is answered to a request, given how many came before.
type Answer = dyn FnMut(usize, &Received) -> Response + Send;

/// The endpoint.
#[derive(Clone)]
pub struct Endpoint {
    pub url: String,
    answer: Arc<Mutex<Box<Answer>>>,
    received: watch::Sender<Vec<Received>>,
}

impl Endpoint {
    /// Answers 200 to everything.
    pub async fn start() -> Self {
        Self::answering(|_, _| StatusCode::OK.into_response()).await
    }

    /// Answers as told.
    pub async fn answering(answer: impl FnMut(usize, &Received) -> Response + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answer: Arc::new(Mutex::new(Box::new(answer))),
            received: watch::Sender::new(Vec::new()),
        };
        let router = Router::new().fallback(receive).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until what came is `enough`.
    pub async fn until(&self, what: &str, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut receiver = self.received.subscribe();
        let waited = tokio::time::timeout(PATIENCE, receiver.wait_for(|received| enough(received))).await;
        let bodies = || {
            let received = self.received();
            received.iter().map(|r| String::from_utf8_lossy(&r.body).into_owned()).collect::<Vec<_>>().join("\n")
        };
        waited.unwrap_or_else(|_| panic!("{what}: {}", bodies())).unwrap().clone()
    }

    pub async fn until_count(&self, count: usize) -> Vec<Received> {
        self.until(&format!("{count} requests"), |received| received.len() >= count).await
    }
}

async fn receive(
    State(endpoint): State<Endpoint>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (path, body, at) = (uri.path().to_owned(), body.to_vec(), Instant::now());
    let mut received = Received { at, method, path, headers, body, status: 0 };
    let count = endpoint.received.borrow().len();
    let response = endpoint.answer.lock().unwrap()(count, &received);
    received.status = response.status().as_u16();
    endpoint.received.send_modify(|all| all.push(received));
    response
}
