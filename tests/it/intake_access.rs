//! Who may send and read over HTTP, and over what: tokens and TLS on the own listener.

use floodmark::config::{Scope, TlsConfig, TokenConfig};
use serde_json::Value;

use crate::support::clickhouse::fresh_database;
use crate::support::intake::{answer, lines, rows, with_lines};
use crate::support::service::{Service, Setup};

/// What `floodmark token new` gives: the token, and its lines for the configuration.
async fn new_token(setup: &Setup, name: &str, scopes: &str) -> (String, TokenConfig) {
    let output = setup.output(&["token", "new", "--name", name, "--scopes", scopes]).await;
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stderr).unwrap().trim().rsplit(' ').next().unwrap().to_owned();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(!lines.contains(&token), "the configuration does not hold the token");
    let config: floodmark::config::Config = toml::from_str(&lines).unwrap();
    (token, config.http.tokens[0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tokens_each_may_do_what_its_scopes_say_and_health_stays_open() {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    let (shipper, config) = new_token(&setup, "shipper", "ingest").await;
    setup.config.http.tokens.push(config);
    let (reader, config) = new_token(&setup, "on-call", "read").await;
    assert_eq!(config.scopes, [Scope::Read]);
    setup.config.http.tokens.push(config);
    // Anybody could connect: with tokens that is allowed.
    setup.config.http.listen = ([0, 0, 0, 0], 0).into();
    let service = Service::start(&setup).await;

    let status = async |request: reqwest::RequestBuilder, token: Option<&str>| {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default())
    };
    let send = || with_lines(service.post("/api/v1/events"), lines(0, 5));
    let (code, challenge) = status(send(), None).await;
    assert_eq!((code, challenge.as_str()), (401, "Bearer realm=\"floodmark\""));
    assert_eq!(status(send(), Some("floodmark_wrong")).await.0, 401);
    let (code, challenge) = status(send(), Some(&reader)).await;
    assert!(code == 403 && challenge.contains("insufficient_scope"), "{code} {challenge}");
    assert_eq!(rows(&database).await.0, 0);
    assert_eq!(status(send(), Some(&shipper)).await.0, 200);
    assert_eq!(rows(&database).await, (5, 5));
    for path in ["/metrics", "/api/v1/alerts", "/api/v1/incidents"] {
        assert_eq!(status(service.client().get(service.url(path)), None).await.0, 401, "{path}");
        assert_eq!(status(service.client().get(service.url(path)), Some(&shipper)).await.0, 403, "{path}");
        assert_eq!(status(service.client().get(service.url(path)), Some(&reader)).await.0, 200, "{path}");
    }
    assert_eq!((service.get("/livez").await.0, service.get("/readyz").await.0), (200, 200));
    let printed = setup.stdout(&["config", "print"]).await;
    assert!(printed.contains("shipper") && !printed.contains(&setup.config.http.tokens[0].sha256), "{printed}");
}

#[tokio::test]
async fn anybody_may_not_send_from_anywhere() {
    let mut setup = Setup::new(None);
    setup.config.http.listen = ([0, 0, 0, 0], 0).into();
    let output = setup.output(&["run"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("http.tokens: ") && stderr.contains("floodmark token new"), "{stderr}");
    setup.config.http.listen = ([127, 0, 0, 1], 0).into();
    setup.config.http.ingest = false;
    let output = setup.output(&["run"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && stderr.contains("nothing would come in"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_of_another_origin_may_not_send() {
    let database = fresh_database().await;
    let service = Service::start(&Setup::new(None).with_database(&database)).await;
    // What a page can send without asking first: a POST of plain text.
    let send = async |path: &str, origin: &str| {
        let request = service.post(path).header("content-type", "text/plain").header("origin", origin);
        let sent = request.body(lines(0, 5)).send().await.unwrap();
        let kind = sent.headers()["content-type"].to_str().unwrap().to_owned();
        let (status, _, body) = answer(sent).await;
        (status, kind, body)
    };
    for path in ["/api/v1/events", "/v1/logs"] {
        for origin in ["https://example.com", "null", "http://localhost:3000"] {
            let (status, kind, body) = send(path, origin).await;
            assert_eq!((status, kind.as_str()), (403, "application/problem+json"), "{path} {origin}");
            assert_eq!(body["code"], "forbidden");
            assert!(body["detail"].as_str().unwrap().contains("another origin"), "{body}");
        }
    }
    assert_eq!(rows(&database).await.0, 0);
    let own = service.url("");
    assert_eq!(send("/api/v1/events", own.trim_end_matches('/')).await.0, 200);
    assert_eq!(rows(&database).await, (5, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_records_are_taken_and_plain_connections_are_not() {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = setup.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate_file = file("certificate.pem", &made.cert.pem());
    let key_file = file("key.pem", &made.signing_key.serialize_pem());
    setup.config.http.tls = Some(TlsConfig { certificate_file, key_file });
    let service = Service::start(&setup).await;
    let certificate = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap();
    let url = |path: &str| service.url(path).replace("http://", "https://");
    let sent = with_lines(client.post(url("/api/v1/events")), lines(0, 5)).send().await.unwrap();
    assert_eq!(answer(sent).await.0, 200);
    assert_eq!(rows(&database).await, (5, 5));
    assert!(client.get(service.url("/livez")).send().await.is_err(), "no plain HTTP on a TLS port");
    assert!(service.client().get(url("/livez")).send().await.is_err(), "an unknown certificate is not trusted");
    assert_eq!(client.get(url("/livez")).send().await.unwrap().status(), 200, "others are served all the same");
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_found_by_check_and_ends_the_start() {
    let mut setup = Setup::new(None);
    let absent = setup.directory.path().join("absent.pem");
    setup.config.http.tls = Some(TlsConfig { certificate_file: absent.clone(), key_file: absent });
    let output = setup.output(&["check", "--output", "json"]).await;
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    let http = body["checks"].as_array().unwrap().iter().find(|line| line["subject"] == "http").unwrap();
    assert_eq!((http["result"].as_str(), output.status.code()), (Some("problem"), Some(78)));
    assert!(http["details"][0].as_str().unwrap().starts_with("http.tls.certificate_file "), "{http}");
    let output = setup.output(&["run"]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("absent.pem"));
}
