//! The API and the console over statements in memory: whoever owns the status page, without its disk.

use std::sync::{Arc, Mutex};

use floodmark::api::{
    self, ApiState, ConsoleSettings, Health, StatusRefusal, StatusRequest, StatusRoutes, StatusView, Tokens, View, hash,
};
use floodmark::config::{Scope, StatusConfig, TokenConfig};
use floodmark::metrics::Metrics;
use floodmark::model::{IncidentReport, Timestamp};
use floodmark::status::incidents::Settings;
use floodmark::status::{Authority, ComponentChange, ComponentState, ComponentView, Figures, Statements};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Two components; one publishes by itself.
pub const CONFIG: &str = "
name = 'Acme API'
time_zone = 'Europe/Vienna'
forbidden_words = ['zeus']
[[components]]
id = 'api'
name = 'API'
[[components]]
id = 'search'
name = 'Search & fingerprints'
";

/// The secret of a token with this scope.
pub fn secret(scope: Scope) -> String {
    format!("token-that-may-{}", scope.as_str())
}

/// The API, the console and the statements behind them.
pub struct Desk {
    pub base: String,
    pub client: reqwest::Client,
    statements: Arc<Mutex<Statements>>,
    settings: Settings,
    view: Arc<watch::Sender<Arc<StatusView>>>,
    stop: CancellationToken,
}

impl Desk {
    /// With a token for each of the scopes, named after it; it reads as well.
    pub async fn start(scopes: &[Scope]) -> Self {
        let settings = Settings::new(&toml::from_str::<StatusConfig>(CONFIG).unwrap());
        let statements = Arc::new(Mutex::new(Statements::default()));
        let (view, view_receiver) = watch::channel(Arc::new(StatusView::default()));
        let view = Arc::new(view);
        let (requests, mut received) = mpsc::channel::<StatusRequest>(8);
        let owner = (Arc::clone(&statements), settings.clone(), Arc::clone(&view));
        tokio::spawn(async move {
            while let Some(StatusRequest { request, answer }) = received.recv().await {
                let (statements, settings, view) = &owner;
                let done = statements.lock().unwrap().command(&request, settings);
                show(&statements.lock().unwrap(), settings, view);
                // Whoever asked may have gone.
                let _ = answer.send(done.map_err(StatusRefusal::Command));
            }
        });
        let token = |scope: &Scope| {
            let sha256 = hash(&secret(*scope)).iter().map(|byte| format!("{byte:02x}")).collect();
            let scopes = vec![Scope::Read, *scope];
            TokenConfig { name: format!("{}-ann", scope.as_str()), sha256, scopes, subscription: None }
        };
        let tokens: Vec<TokenConfig> = scopes.iter().map(token).collect();
        let health = Health::new(crate::samples::noon());
        let state = ApiState {
            view: watch::channel(Arc::new(View::default())).1,
            readiness: health.subscribe(),
            metrics: Arc::new(Metrics::new()),
            tokens: Tokens::new(&tokens),
            ingest: None,
            reload: None,
            paging: None,
            events: None,
            console: ConsoleSettings::default(),
            queries: None,
            limits: None,
            status: Some(StatusRoutes { view: view_receiver, requests }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(api::serve(listener, api::router(state), None, stop.clone()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let desk = Self { base, client, statements, settings, view, stop };
        desk.show();
        desk
    }

    fn show(&self) {
        show(&self.statements.lock().unwrap(), &self.settings, &self.view);
    }

    /// A component of which so many of 1,000 requests fail from now on.
    pub fn harm(&self, component: &str, failures: u64) {
        let now = floodmark::clock::now();
        let change = ComponentChange {
            component: component.to_owned(),
            before: ComponentState::Operational,
            after: ComponentState::PartialOutage,
            since: now.plus(-60_000),
            at: now,
            figures: Figures { requests: 1_000, failures, slow: 0 },
        };
        self.statements.lock().unwrap().component_changed(&change, &self.settings, now);
        self.show();
    }

    /// An internal incident.
    pub fn report(&self, report: &IncidentReport) {
        self.statements.lock().unwrap().report(report, &self.settings);
        self.show();
    }

    /// What is public.
    pub fn public(&self) -> String {
        let statements = self.statements.lock().unwrap();
        let incidents = serde_json::to_string(&statements.incidents.published()).unwrap();
        incidents + &serde_json::to_string(&statements.schedule.maintenances()).unwrap()
    }

    /// How people say a component is.
    pub fn said(&self, component: &str) -> Option<(ComponentState, Authority)> {
        self.statements.lock().unwrap().state_at(component, floodmark::clock::now())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn show(statements: &Statements, settings: &Settings, view: &watch::Sender<Arc<StatusView>>) {
    let now = floodmark::clock::now();
    let component = |(id, name): (&str, &str)| {
        let said = statements.state_at(id, now);
        ComponentView {
            id: id.to_owned(),
            name: name.to_owned(),
            description: None,
            group: None,
            state: said.as_ref().map_or(ComponentState::Operational, |(state, _)| *state),
            since: Some(now),
            authority: said.map_or(Authority::Measured, |(_, authority)| authority),
            created_at: now,
            updated_at: now,
            objective: None,
            days: Vec::new(),
            latency: Vec::new(),
        }
    };
    let components = [("api", "API"), ("search", "Search & fingerprints")].map(component);
    let page = ("https://status.example.com", Some::<Timestamp>(now));
    view.send_replace(Arc::new(StatusView::new(statements, settings, &components, page, now)));
}
