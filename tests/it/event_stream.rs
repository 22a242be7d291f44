//! `/api/v1/events`: the real router, read as a browser reads it.

use std::sync::Arc;

use floodmark::alert::notify::{EVENTS_KEPT_MAX, StreamWriter, event_stream, sample};
use floodmark::api::{self, ApiState, ConsoleSettings, EventReaders, Health, Tokens, View};
use floodmark::metrics::Metrics;
use floodmark::model::{Timestamp, TransitionEvent};
use reqwest::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::samples;
use crate::support::notifier::{Around, Running, config};
use crate::support::service::{PATIENCE, until};

struct Server {
    url: String,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> (Self, StreamWriter) {
        let (writer, stream) = event_stream(Timestamp::from_millis(255));
        let metrics = Arc::new(Metrics::new());
        let state = ApiState {
            view: watch::channel(Arc::new(View::default())).1,
            readiness: Health::new(samples::noon()).subscribe(),
            metrics: Arc::clone(&metrics),
            tokens: Tokens::default(),
            ingest: None,
            reload: None,
            paging: None,
            events: Some(EventReaders::new(stream)),
            console: ConsoleSettings::default(),
            queries: None,
            limits: None,
            status: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/events", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, api::router(state), None, stop.clone()));
        (Self { url, metrics, stop, served }, writer)
    }

    async fn read(&self, last_event_id: Option<&str>) -> Reader {
        let mut request = crate::http::client().get(&self.url);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        Reader { response: request.send().await.unwrap(), text: String::new() }
    }

    fn readers(&self) -> String {
        let text = self.metrics.encode(Timestamp::default());
        let line = text.lines().find(|line| line.starts_with("floodmark_event_stream_readers ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().to_owned()
    }
}

struct Reader {
    response: Response,
    text: String,
}

impl Reader {
    /// The next event's lines, or nothing at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("something comes").ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn fields(&mut self) -> Vec<(String, String)> {
        let event = self.next().await.expect("an event");
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut fields: Vec<_> = event.lines().filter_map(field).collect();
        fields.sort();
        fields
    }

    /// `id`, or the kind of an event that has none; and what it says.
    async fn event(&mut self) -> (String, String) {
        let fields = self.fields().await;
        let get = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        (get("id").or(get("event")).unwrap(), get("data").unwrap())
    }
}

#[tokio::test]
async fn pages_and_transitions_come_as_they_are_told_and_a_reader_goes_on_where_it_was() {
    let (server, writer) = Server::start().await;
    let running = Running::start(&config(""), Around { stream: Some(writer), ..Around::default() });
    let mut reader = server.read(None).await;
    assert_eq!(reader.response.headers()["content-type"], "text/event-stream");
    until("a reader is counted", async || (server.readers() == "1").then_some(())).await;
    running.page(&sample::page()).await;
    let event = reader.event().await;
    assert_eq!(event, ("ff-1".to_owned(), serde_json::to_string(&sample::page()).unwrap()));
    drop(reader);
    let transition = samples::transition("4", TransitionEvent::Firing);
    running.transition(&transition).await;
    let mut reader = server.read(Some("ff-1")).await;
    let fields = reader.fields().await;
    assert_eq!(fields[1..], [("event".into(), "transition".into()), ("id".into(), "ff-2".into())]);
    assert_eq!(fields[0].1, serde_json::to_string(&transition).unwrap());
    // The service ends, and with it the stream: nobody is waited for.
    running.stop().await;
    assert_eq!(reader.next().await, None);
    server.stop.cancel();
    tokio::time::timeout(PATIENCE, server.served).await.expect("ends").unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_to_who_comes_back() {
    let (server, writer) = Server::start().await;
    for _ in 0..EVENTS_KEPT_MAX + 10 {
        writer.transition(&samples::transition("4", TransitionEvent::Firing));
    }
    let mut reader = server.read(Some("ff-2")).await;
    let (kind, data) = reader.event().await;
    assert_eq!((kind.as_str(), &data[..12]), ("missed", "{\"missed\":8,"));
    assert_eq!(reader.event().await.0, "ff-11");
    let mut reader = server.read(Some("0-99")).await;
    let (kind, data) = reader.event().await;
    assert!(kind == "missed" && data.starts_with("{\"missed\":null,"), "{data}");
    assert_eq!(reader.event().await.0, "ff-11");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_so_and_dropped() {
    let (server, writer) = Server::start().await;
    writer.page(&sample::page());
    let mut reader = server.read(Some("ff-0")).await;
    assert_eq!(reader.event().await.0, "ff-1");
    // Far more than is kept, before the server can send any of it.
    let mut page = sample::page();
    page.impact = "x".repeat(100_000);
    for _ in 0..500 {
        writer.page(&page);
    }
    let mut last = String::new();
    while let Some(event) = reader.next().await {
        last = event;
    }
    assert!(last.contains("event: dropped") && last.contains("too slow"), "{}", &last[..last.len().min(200)]);
    until("its place is free", async || (server.readers() == "0").then_some(())).await;
}
