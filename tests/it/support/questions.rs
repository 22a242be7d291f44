//! A service that answers questions, with rows of two subscriptions and tokens of every kind.

use floodmark::config::{Scope, TokenConfig};
use floodmark::store::migrate;
use reqwest::Response;
use serde_json::Value;

use super::clickhouse::{TestDatabase, fresh_database, shared_engine};
use super::service::{Service, Setup};

/// Requests of each of the two subscriptions, one a second from [`FIRST`] on in turn.
const REQUESTS_EACH: u64 = 50_000;
/// Time of the first request.
const FIRST: &str = "2026-03-01 10:00:00";

/// A service, and its database.
pub struct Questions {
    pub service: Service,
    pub database: TestDatabase,
    // Holds its configuration.
    pub setup: Setup,
}

/// A token is its name: only its hash is configured.
pub fn token(name: &str, scopes: &[Scope], subscription: Option<&str>) -> TokenConfig {
    TokenConfig {
        name: name.to_owned(),
        sha256: floodmark::api::hash(name).iter().map(|byte| format!("{byte:02x}")).collect(),
        scopes: scopes.to_vec(),
        subscription: subscription.map(str::to_owned),
    }
}

impl Questions {
    /// With the tokens `analyst` (all), `acme` (of that subscription) and `reader` (named queries only).
    pub async fn start(change: impl FnOnce(&mut Setup)) -> Self {
        let database = fresh_database().await;
        migrate(&database.admin).await.unwrap();
        seed(&database).await;
        let mut setup = Setup::new(None).with_database(&database);
        let password_file = setup.directory.path().join("desk.password");
        let desk = &shared_engine().users.desk;
        std::fs::write(&password_file, &desk.password).unwrap();
        setup.config.query.user = Some(desk.user.to_owned());
        setup.config.query.password_file = Some(password_file);
        setup.config.http.tokens = vec![
            token("analyst", &[Scope::Read, Scope::Query], None),
            token("acme", &[Scope::Read, Scope::Query], Some("acme")),
            token("reader", &[Scope::Read], None),
        ];
        change(&mut setup);
        let service = Service::start(&setup).await;
        Self { service, database, setup }
    }

    /// Asks SQL as `token`.
    pub async fn sql(&self, token: &str, sql: &str) -> Response {
        self.ask(token, "/api/v1/sql", sql, "application/x-ndjson").await
    }

    /// The same, with the type that is wanted.
    pub async fn ask(&self, token: &str, path: &str, body: &str, accept: &str) -> Response {
        let request = self.service.post(path).bearer_auth(token).header("accept", accept);
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// A path as `token`.
    pub async fn get(&self, token: &str, path: &str) -> Response {
        self.service.client().get(self.service.url(path)).bearer_auth(token).send().await.unwrap()
    }

    /// The rows of an answer that must be one.
    pub async fn rows(&self, token: &str, sql: &str) -> Vec<Value> {
        let response = self.sql(token, sql).await;
        let status = response.status();
        let body = response.text().await.unwrap();
        assert_eq!(status, 200, "{sql}: {body}");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The problem that answers SQL: its code, and all of it.
    pub async fn refusal(&self, token: &str, sql: &str) -> (String, Value) {
        problem(self.sql(token, sql).await).await
    }
}

/// Code and body of a response that must be a problem.
pub async fn problem(response: Response) -> (String, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(!status.is_success(), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    (body["code"].as_str().unwrap().to_owned(), body)
}

async fn seed(database: &TestDatabase) {
    for sql in [
        format!(
            "INSERT INTO {{database}}.requests (timestamp, subscription, client, service, route, status, duration_ms, attempt) \
             SELECT toDateTime64('{FIRST}', 3, 'UTC') + number, ['acme', 'globex'][number % 2 + 1], 'cli', 'api', '/a', \
             if(number % 10 = 0, 503, 200), 20, 1 FROM numbers({})",
            2 * REQUESTS_EACH
        ),
        "INSERT INTO {database}.requests_by_minute (minute, subscription, client, service, route, status_class, requests, \
         failures, duration_ms) SELECT toStartOfMinute(timestamp), subscription, client, service, route, intDiv(status, 100), \
         count(), countIf(status >= 500), map(toInt16(34), count()) FROM {database}.requests GROUP BY ALL"
            .to_owned(),
        "INSERT INTO {database}.incidents (incident, started_at, summary) VALUES ('globex-storm', now64(3), 'globex floods')"
            .to_owned(),
        "INSERT INTO {database}.signals (timestamp, source, metric, value) \
         SELECT toDateTime64('2026-03-01 10:00:00', 3, 'UTC') + number, 'redis/main', 'operations_total', 5 * number \
         FROM numbers(600)"
            .to_owned(),
        "CREATE TABLE {database}.secrets (subscription String, word String) ENGINE = MergeTree ORDER BY word".to_owned(),
        "INSERT INTO {database}.secrets VALUES ('globex', 'swordfish')".to_owned(),
        "CREATE VIEW {database}.everything AS SELECT * FROM {database}.requests".to_owned(),
    ] {
        database.admin.execute(&sql).await.unwrap();
    }
}
