//! A query's way through the guard: who asks, what it is, whether it runs, and its answer.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::access::Access;
use super::answer::{Answer, AnswerBody};
use super::body::{BodyError, QueryText, RequestBody};
use super::collapse::{Key, Recorder, Role, Written, is_each_ones_own};
use super::comment::merged_comment;
use super::credentials::Identity;
use super::encoded::{Encoding, is_decompress};
use super::estimates::{Asker, ScanKey};
use super::gatekeeper::{Place, Verdict};
use super::headers::{answer_headers, request_headers};
use super::late_ends::LateEnd;
use super::multipart::{MultipartFault, MultipartScan};
use super::parameters::Parameters;
use super::query_id::{own_query_id, random_query_id};
use super::refused::Refused;
use super::shared::Shared;
use super::statement::{OwnSetting, Statement, guarded};
use super::upstream::{UpstreamError, set_credentials};
use super::watched::{RunningQuery, WatchedBody};
use crate::guard::gate::{Ask, Ended, Offence};
use crate::metrics::GuardOutcome;

/// The text of a query must have come by then; data behind it have no deadline.
const TEXT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest text that is taken apart at once; longer ones take memory and time, and wait for each other.
const SHORT_TEXT_BYTES_MAX: usize = 64 << 10;
/// Long texts taken apart at a time, each in some 130 MB.
pub(super) const LONG_TEXTS_AT_ONCE_MAX: usize = 2;

/// A query as far as it is known before it runs.
struct Query {
    method: Method,
    headers: HeaderMap,
    parameters: Parameters,
    identity: Identity,
    statement: Statement,
    body: RequestBody,
    /// The whole body, when it was read to its end: for telling identical queries.
    read: Option<Vec<u8>>,
    query_id: Option<String>,
    /// Whether the answer is nobody else's because of what the text names.
    is_each_ones_own: bool,
}

/// A query that the gate lets in.
struct Admitted {
    place: Place,
    /// The client's, or one that nobody can guess.
    query_id: String,
    scan: Option<ScanKey>,
    recorder: Option<Recorder>,
}

/// Answers a query.
pub(super) async fn answer(shared: &Arc<Shared>, parts: Parts, body: Incoming, peer: std::net::IpAddr) -> Answer {
    let asked = parts.headers.clone();
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
    let query_id = own_query_id(&parameters, &asked).ok().flatten();
    match admitted(shared, parts, body, peer).await {
        Ok(answer) => answer,
        Err(refused) => {
            shared.metrics.add_guard_query(GuardOutcome::Refused);
            refused.answer(&asked, query_id.as_deref())
        }
    }
}

async fn admitted(
    shared: &Arc<Shared>,
    parts: Parts,
    body: Incoming,
    peer: std::net::IpAddr,
) -> Result<Answer, Refused> {
    let mut parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
    if let Some(name) = parameters.doubled() {
        return Err(Refused::ambiguous(format!("the parameter {name} is given more than once")));
    }
    let identity = shared.tenants.identify(&parts.headers, &mut parameters)?;
    // Before the text is read, so that only those who may come in make the guard work. Nobody is charged for a wrong
    // password.
    let access = shared.accesses.of(&identity, &shared.upstream).await.map_err(|error| refused(&error))?;
    let query = read(shared, parts, parameters, identity, body, peer).await?;
    let recorder = match key_of(shared, &query).map(|key| shared.collapse.join(key)) {
        Some(Role::Follows(followed)) => match followed.answer().await {
            Some(answer) => {
                shared.metrics.add_guard_query(GuardOutcome::Collapsed);
                return Ok(answer);
            }
            None => None,
        },
        Some(Role::First(recorder)) => Some(recorder),
        None => None,
    };
    let run_id = query.query_id.clone().map_or_else(random_query_id, Ok)?;
    let mut ask = ask_of(&query, &run_id);
    let (estimated_rows, scan) = estimated(shared, &query, &access, &ask).await;
    ask.estimated_rows = estimated_rows;
    let mut place = shared.gatekeeper.ask(ask);
    match place.verdict().await {
        Some(Verdict::Admitted(settings)) => {
            run(shared, query, &access, &settings, Admitted { place, query_id: run_id, scan, recorder }).await
        }
        Some(Verdict::Refused(refusal)) => Err(Refused::by_gate(refusal)),
        None => Err(Refused::full("the guard is being stopped")),
    }
}

fn ask_of(query: &Query, run_id: &str) -> Ask {
    Ask {
        number: 0,
        tenant: query.identity.tenant.clone(),
        fingerprint: query.statement.fingerprint.clone(),
        version: super::comment::version(query.parameters.text("log_comment")),
        query_id: run_id.to_owned(),
        writes: query.statement.writes,
        estimated_rows: None,
        limit_trap: query.statement.limit_trap,
    }
}

/// Rows that a query will read, if that can be known, and by what its reading is learned. Of what is refused anyway
/// ClickHouse is asked nothing.
async fn estimated(shared: &Shared, query: &Query, access: &Access, ask: &Ask) -> (Option<u64>, Option<ScanKey>) {
    let before = shared.gatekeeper.before_estimate(ask);
    // What a session holds, its temporary tables, is not there for the estimate.
    let is_asked = !before.is_refused && query.parameters.get("session_id").is_none();
    let asker = Asker {
        parameters: &query.parameters,
        database: query.headers.get("x-clickhouse-database").map(HeaderValue::as_bytes),
        access,
        settings: &before.settings,
        identity: &query.identity,
        upstream: &shared.upstream,
        leavers: &shared.leavers,
    };
    let question = query.statement.estimate.as_deref().filter(|_| is_asked);
    let (rows, source, scan) = shared.estimates.rows(question, asker).await;
    shared.metrics.add_guard_estimate(source);
    (rows, scan)
}

/// Reads all that must be known of a query.
async fn read(
    shared: &Shared,
    parts: Parts,
    parameters: Parameters,
    identity: Identity,
    body: Incoming,
    peer: std::net::IpAddr,
) -> Result<Query, Refused> {
    let encodings: Vec<&[u8]> =
        parts.headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
    let decompress = is_decompress(parameters.get("decompress"))
        .ok_or_else(|| Refused::ambiguous("the parameter decompress is neither 0 nor 1"))?;
    let encoding = match encodings.as_slice() {
        [] => Encoding::of(None, decompress),
        [one] => Encoding::of(Some(one), decompress),
        _ => Encoding::Unknown,
    };
    let mut body = RequestBody::of(body);
    if let Some(scan) = multipart(&parts.headers)? {
        body = body.scanned_by(scan);
    }
    let text = body.read_text(parameters.get("query").unwrap_or_default(), encoding);
    let text = tokio::time::timeout(TEXT_TIMEOUT, text).await.map_err(|_| Refused::slow_text())??;
    let QueryText { text, is_whole, body: read } = text;
    let is_each_ones_own = is_each_ones_own(&text);
    let statement = statement(shared, text).await?;
    if shared.enforces {
        if !is_whole {
            return Err(Refused::unread());
        }
        if let Some(name) = &statement.guarded_setting {
            return Err(Refused::guarded_setting(name));
        }
    } else if !is_whole || statement.guarded_setting.is_some() {
        shared.metrics.add_guard_unread();
    }
    let query_id = own_query_id(&parameters, &parts.headers)?;
    let headers = request_headers(&parts.headers, peer);
    Ok(Query { method: parts.method, headers, parameters, identity, statement, body, read, query_id, is_each_ones_own })
}

/// Takes a text apart; a long one on a thread of its own, and few of those at a time.
async fn statement(shared: &Shared, text: String) -> Result<Statement, Refused> {
    if text.len() <= SHORT_TEXT_BYTES_MAX {
        return Ok(Statement::of(&text));
    }
    let stopped = || Refused::full("the guard is being stopped");
    let permit = Arc::clone(&shared.long_texts).acquire_owned().await.map_err(|_| stopped())?;
    let taken_apart = tokio::task::spawn_blocking(move || {
        // Held in the thread: it goes on when the client leaves.
        let _permit = permit;
        Statement::of(&text)
    });
    taken_apart.await.map_err(|_| stopped())
}

/// A scan for a body of several parts; one whose parts cannot be told apart is refused.
fn multipart(headers: &HeaderMap) -> Result<Option<MultipartScan>, Refused> {
    let types: Vec<String> = headers
        .get_all(header::CONTENT_TYPE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let Some(multipart) = types.iter().find(|one| one.to_ascii_lowercase().contains("multipart")) else {
        return Ok(None);
    };
    let scan = (types.len() == 1).then(|| MultipartScan::of(multipart)).flatten();
    scan.map(Some).ok_or_else(|| Refused::ambiguous("the boundary of a body of several parts cannot be read"))
}

/// What a query is identical by; absent when its answer is nobody else's: a write, a session, a body that still comes, an
/// id by which its client will look it up.
fn key_of(shared: &Shared, query: &Query) -> Option<Key> {
    let read = query.read.as_ref()?;
    let is_own = !query.statement.only_reads
        || query.is_each_ones_own
        || query.query_id.is_some()
        || query.parameters.get("session_id").is_some();
    // Where nothing is enforced, every query runs.
    if !shared.enforces || !shared.collapses || is_own {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let (forgotten, writes) = shared.collapse.epoch(&query.identity.tenant);
    add(&[forgotten.to_le_bytes(), writes.to_le_bytes()].concat());
    add(query.identity.tenant.as_bytes());
    add(&query.identity.key);
    add(query.method.as_str().as_bytes());
    add(query.parameters.encode().as_bytes());
    add(read);
    for name in [
        header::ACCEPT.as_str(),
        header::ACCEPT_ENCODING.as_str(),
        header::CONTENT_ENCODING.as_str(),
        header::ORIGIN.as_str(),
        "x-clickhouse-database",
        "x-clickhouse-format",
    ] {
        add(query.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes));
    }
    Some(hash.finalize().into())
}

async fn run(
    shared: &Arc<Shared>,
    query: Query,
    access: &Access,
    settings: &[(&'static str, String)],
    admitted: Admitted,
) -> Result<Answer, Refused> {
    let Admitted { mut place, query_id, scan, recorder } = admitted;
    let Query { method, mut headers, mut parameters, identity, statement, body, .. } = query;
    if shared.enforces
        && let Some(own) = statement.settings.iter().find(|own| loosens(own, settings))
    {
        return Err(Refused::loosened_cap(&own.name));
    }
    let own_caps = own_caps(&statement, &parameters, settings);
    set_parameters(shared, &mut parameters, &identity, &statement, access, settings);
    parameters.set("query_id", query_id.as_str());
    set_credentials(&mut headers, &identity).map_err(|error| Refused::ambiguous(error.to_string()))?;
    place.sent();
    let leaver = if !statement.only_reads {
        None
    } else {
        shared.leavers.claim(Some(place.number()), &identity.user, &query_id)
    };
    let late =
        statement.only_reads.then(|| LateEnd { number: place.number(), user: identity.user.clone(), query_id, scan });
    let running = RunningQuery {
        place: Some(place),
        leaver,
        scan,
        late,
        own_caps,
        written: (!statement.only_reads).then(|| Written::of(&shared.collapse, &identity.tenant)),
        since: Instant::now(),
        leavers: Arc::clone(&shared.leavers),
        late_ends: Arc::clone(&shared.late_ends),
        estimates: Arc::clone(&shared.estimates),
        metrics: Arc::clone(&shared.metrics),
    };
    match shared.upstream.send(method, "/", &parameters, headers, body).await {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            let body = WatchedBody::new(parts.status, &parts.headers, body, running, recorder);
            answer_headers(&mut parts.headers);
            Ok(Answer::from_parts(parts, AnswerBody::Upstream(Box::new(body))))
        }
        Err(error) => {
            let exception = Some(error.to_string());
            running.end(Ended { exception_code: Some(210), exception, ..Ended::default() });
            Err(refused(&error))
        }
    }
}

/// Takes out what only the guard gives, and gives it, as far as the user may have it.
fn set_parameters(
    shared: &Shared,
    parameters: &mut Parameters,
    identity: &Identity,
    statement: &Statement,
    access: &Access,
    settings: &[(&'static str, String)],
) {
    for name in guarded() {
        parameters.take(name);
    }
    parameters.set("quota_key", identity.tenant.as_str());
    let comment = merged_comment(parameters.text("log_comment"), &identity.tenant, &statement.fingerprint);
    let mut give = |name: &'static str, value: &str| {
        if access.allows(name, value) {
            parameters.set(name, value);
        }
    };
    give("log_comment", &comment);
    if let Some(workload) = shared.workload(&identity.tenant, statement.writes) {
        give("workload", &workload);
    }
    if !statement.writes {
        give("cancel_http_readonly_queries_on_client_close", "1");
    }
    for (name, value) in settings {
        // A client may be stricter with itself.
        let own = parameters.text(name).and_then(|own| own.parse::<f64>().ok()).filter(|own| *own >= 1.0);
        let is_stricter = own.is_some_and(|own| value.parse().is_ok_and(|cap: f64| own <= cap));
        if !is_stricter && access.allows(name, value) {
            parameters.set(name, value.as_str());
        }
    }
    if identity.is_known
        && let Some(session) = parameters.take("session_id")
    {
        // Two tenants may be one user of ClickHouse; their sessions are still their own.
        let mut own = identity.tenant.clone().into_bytes();
        own.push(b'/');
        own.extend(session);
        parameters.set("session_id", own);
    }
}

/// What the client itself holds the query to, more strictly than the gate does, in the URL or in the text.
fn own_caps(statement: &Statement, parameters: &Parameters, settings: &[(&'static str, String)]) -> Vec<Offence> {
    let is_own = |name: &str| {
        let given = settings.iter().find(|(given, _)| *given == name).and_then(|(_, value)| value.parse::<f64>().ok());
        let in_text = statement.settings.iter().filter(|own| own.name == name).map(|own| own.value.as_str());
        let mut values = in_text.chain(parameters.text(name)).filter_map(|value| value.parse::<f64>().ok());
        values.any(|own| own > 0.0 && given.is_none_or(|given| own < given))
    };
    [
        ("max_memory_usage", Offence::Memory),
        ("max_bytes_to_read", Offence::Bytes),
        ("max_execution_time", Offence::Time),
    ]
    .into_iter()
    .filter_map(|(name, offence)| is_own(name).then_some(offence))
    .collect()
}

/// Whether a setting in the text would be looser than what the gate gives: the text's wins. What cannot be compared is
/// taken for looser.
fn loosens(own: &OwnSetting, settings: &[(&'static str, String)]) -> bool {
    let Some((_, cap)) = settings.iter().find(|(name, _)| *name == own.name) else { return false };
    match (own.value.parse::<f64>(), cap.parse::<f64>()) {
        // ClickHouse cuts a fraction off: half a byte is no limit at all.
        (Ok(own), Ok(cap)) => !(1.0..=cap).contains(&own),
        _ => own.value != *cap,
    }
}

fn refused(error: &UpstreamError) -> Refused {
    match error {
        UpstreamError::Address(_) => Refused::long_address(),
        UpstreamError::Exception(code, text) => Refused::by_server(*code, text),
        error => match part_fault(error) {
            Some(_) => {
                Refused::ambiguous("a body of several parts holds a field named query, or a part that cannot be read")
            }
            None => Refused::unreachable(&error.to_string()),
        },
    }
}

/// What kept a body from passing, if that was the reason.
fn part_fault(error: &UpstreamError) -> Option<MultipartFault> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(BodyError::Part(fault)) = error.downcast_ref() {
            return Some(*fault);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_caps_are_those_below_the_gates() {
        let given = [("max_memory_usage", "1000".to_owned()), ("max_execution_time", "30".to_owned())];
        let own = |sql: &str, query: &str| own_caps(&Statement::of(sql), &Parameters::parse(query), &given);
        assert_eq!(own("SELECT 1", ""), []);
        assert_eq!(own("SELECT 1 SETTINGS max_memory_usage = 1000, max_threads = 1", "max_execution_time=31"), []);
        assert_eq!(own("SELECT 1 SETTINGS max_memory_usage = 999", ""), [Offence::Memory]);
        assert_eq!(own("SELECT 1", "max_bytes_to_read=5&max_execution_time=3"), [Offence::Bytes, Offence::Time]);
    }

    #[test]
    fn what_cannot_be_compared_with_a_cap_or_is_less_than_one_loosens_it() {
        let given = [("max_execution_time", "30".to_owned())];
        let loosens = |value: &str| {
            loosens(&OwnSetting { name: "max_execution_time".to_owned(), value: value.to_owned() }, &given)
        };
        assert!(["0", "0.5", "31", "nan", "inf", "-1", "x", ""].into_iter().all(loosens));
        assert!(!loosens("1") && !loosens("30"));
    }
}
