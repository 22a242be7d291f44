//! Who gets into the console, what a browser may do with it, and that what comes from outside stays text.

use floodmark::api::hash;
use floodmark::config::{Scope, TokenConfig};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{RequestBuilder, Response};

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::intake::{answer, with_lines};
use crate::support::service::{Service, Setup, until};

const READER: &str = "token-of-a-reader";
const ADMIN: &str = "token-of-an-admin";
const SENDER: &str = "token-of-a-sender";

fn token(name: &str, secret: &str, scopes: &[Scope]) -> TokenConfig {
    let sha256 = hash(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    TokenConfig { name: name.to_owned(), sha256, scopes: scopes.to_vec(), subscription: None }
}

async fn with_tokens() -> (Setup, TestDatabase) {
    let database = fresh_database().await;
    let mut setup = Setup::new(None).with_database(&database);
    setup.config.http.tokens = vec![
        token("looker", READER, &[Scope::Read]),
        token("on-call", ADMIN, &[Scope::Read, Scope::Query, Scope::Admin]),
        token("gateway", SENDER, &[Scope::Ingest]),
    ];
    (setup, database)
}

/// A browser without its screen: keeps the cookie, follows nothing.
struct Visitor<'a> {
    service: &'a Service,
    client: reqwest::Client,
    cookie: Option<String>,
}

impl<'a> Visitor<'a> {
    fn new(service: &'a Service) -> Self {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { service, client, cookie: None }
    }

    fn with_cookie(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie.split(';').next().unwrap()),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.with_cookie(self.client.get(self.service.url(path))).send().await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.with_cookie(self.client.post(self.service.url(path)))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form_body(fields))
            .send()
            .await
            .unwrap()
    }

    /// The token that a page puts into its forms.
    async fn form_token(&self, path: &str) -> String {
        let page = self.text(path).await;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    async fn log_in(&mut self, secret: &str) -> Response {
        let form_token = self.form_token("/login").await;
        let response =
            self.post("/login", &[("token", secret), ("form_token", &form_token), ("next", "/alerts")]).await;
        let cookie = response.headers().get(SET_COOKIE).map(|cookie| cookie.to_str().unwrap().to_owned());
        self.cookie = cookie.or(self.cookie.take());
        response
    }
}

fn form_body(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_becomes_a_session_that_ends_with_the_logout() {
    let (setup, _database) = with_tokens().await;
    let service = Service::start(&setup).await;
    let mut visitor = Visitor::new(&service);

    let response = visitor.get("/incidents?x=1").await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[LOCATION]),
        (303, &"/login?next=%2Fincidents%3Fx%3D1".parse().unwrap())
    );
    for wrong in ["guessed", SENDER, ""] {
        let response = visitor.log_in(wrong).await;
        assert_eq!((response.status().as_u16(), response.headers().get(SET_COOKIE)), (401, None), "{wrong}");
    }
    let response = visitor.log_in(READER).await;
    assert_eq!((response.status().as_u16(), &response.headers()[LOCATION]), (303, &"/alerts".parse().unwrap()));
    let cookie = visitor.cookie.clone().unwrap();
    for part in ["floodmark_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains(READER), "the token itself is not kept");
    assert!(visitor.text("/").await.contains("looker"));
    // The session is the console's: the API goes on asking for the token.
    assert_eq!(visitor.get("/api/v1/alerts").await.status(), 401);

    let refused = visitor.post("/logout", &[("form_token", "another")]).await;
    assert_eq!(refused.status(), 403);
    let form_token = visitor.form_token("/").await;
    assert_eq!(visitor.post("/logout", &[("form_token", &form_token)]).await.status(), 303);
    assert_eq!(visitor.get("/").await.status(), 303, "the old cookie opens nothing any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_taken_and_silenced_by_admins_with_the_token_of_the_form() {
    let (setup, _database) = with_tokens().await;
    let service = Service::start(&setup).await;
    let mut looker = Visitor::new(&service);
    looker.log_in(READER).await;
    let fields = |token: &str| {
        [
            ("form_token", token),
            ("matchers", "alert=RestartLoop\nsubscription=~acme.*"),
            ("for", "2h"),
            ("reason", "a <b>move</b>"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let silence = async |visitor: &Visitor<'_>, token: &str| {
        let fields = fields(token);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        visitor.post("/alerts/silence", &fields).await.status().as_u16()
    };
    let looks = looker.form_token("/").await;
    assert_eq!(silence(&looker, &looks).await, 403, "reading is not administering");
    assert!(looker.text("/alerts").await.contains("Everything is told."));

    let mut admin = Visitor::new(&service);
    admin.log_in(ADMIN).await;
    assert_eq!(silence(&admin, &looks).await, 403, "the form of another session");
    assert_eq!(silence(&admin, "").await, 403);
    let token = admin.form_token("/alerts").await;
    assert_eq!(silence(&admin, &token).await, 303);
    let page = admin.text("/alerts").await;
    assert!(
        page.contains("a &lt;b&gt;move&lt;/b&gt;") && page.contains("on-call") && page.contains("subscription=~acme.*")
    );
    let response = admin
        .post("/alerts/silence", &[("form_token", &token), ("matchers", "nonsense"), ("for", "2h"), ("reason", "x")])
        .await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("nonsense: write name=value"));

    let (_, rest) = page.split_once("name=\"id\" value=\"").unwrap();
    let id = rest.split('"').next().unwrap();
    assert_eq!(admin.post("/alerts/end-silence", &[("form_token", &token), ("id", id)]).await.status(), 303);
    assert!(admin.text("/alerts").await.contains("Everything is told."));
    let nobody = admin.post("/alerts/acknowledge", &[("form_token", &token), ("key", "no-such-page")]).await;
    assert_eq!(nobody.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tokens_this_machine_is_let_in_and_no_page_of_others() {
    let database = fresh_database().await;
    let setup = Setup::new(None).with_database(&database);
    let service = Service::start(&setup).await;
    let visitor = Visitor::new(&service);
    let token = visitor.form_token("/alerts").await;
    let fields = [
        ("form_token", token.as_str()),
        ("matchers", "alert=RestartLoop"),
        ("for", "1h"),
        ("reason", "x"),
        ("author", "me"),
    ];
    let foreign = visitor.client.post(service.url("/alerts/silence")).header(ORIGIN, "https://example.com");
    let foreign = foreign.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form_body(&fields));
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert_eq!(visitor.post("/alerts/silence", &fields[1..]).await.status(), 403, "without the token of the form");
    assert_eq!(visitor.post("/alerts/silence", &fields).await.status(), 303);
    assert_eq!(visitor.post("/alerts/silence", &fields[..4]).await.status(), 400, "nobody says who asks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_the_browser_what_it_may_do() {
    let database = fresh_database().await;
    let service = Service::start(&Setup::new(None).with_database(&database)).await;
    let visitor = Visitor::new(&service);
    for path in
        ["/", "/alerts", "/incidents", "/login", "/incidents/none", "/console/console.css", "/console/console.js"]
    {
        let response = visitor.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{path}: {policy}");
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy")),
            ("nosniff".into(), "same-origin".into())
        );
        let page = response.text().await.unwrap();
        // What the policy would refuse is not there in the first place.
        let is_page = !path.starts_with("/console/");
        assert!(
            !is_page || !page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="),
            "{path}"
        );
    }
    assert_eq!(visitor.get("/incidents/none").await.status(), 404);
    assert_eq!(visitor.get("/incidents/%FF").await.status(), 404);
}

const SCRIPT_NAME: &str = "<script>alert(1)</script>\\\"><img src=x onerror=alert(1)>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_markup_stays_text() {
    let database = fresh_database().await;
    let service = Service::start(&Setup::new(None).with_database(&database)).await;
    let line = |millisecond: i64| {
        format!(
            "{{\"timestamp\":{},\"subscription\":\"{SCRIPT_NAME}\",\"route\":\"/a\",\"status\":200,\"duration_ms\":1}}\n",
            1_772_360_105_000_i64 + millisecond
        )
    };
    let lines: String = (0..20_000).step_by(50).map(line).collect();
    let watermark = "{\"type\":\"watermark\",\"timestamp\":1772360130000}\n";
    let (status, _, body) =
        answer(with_lines(service.post("/api/v1/events"), lines + watermark).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    let page = until("the subscription is on the overview", async || {
        let (_, page) = service.get("/").await;
        page.contains("alert(1)").then_some(page)
    })
    .await;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img src=x"), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{page}");
}
