//! Public incidents, worded over HTTP, on the console and on the command line.

use std::io::{Seek, Write};
use std::process::Output;

use floodmark::config::Scope;
use floodmark::status::{Authority, ComponentState};
use reqwest::header::{LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use crate::cli_contract::floodmark;
use crate::openapi::python;
use crate::samples;
use crate::support::browser::Browser;
use crate::support::status_desk::{Desk, secret};

async fn post(desk: &Desk, scope: Option<Scope>, body: &Value) -> (u16, Value) {
    let request = desk.client.post(format!("{}/api/v1/status/commands", desk.base)).body(body.to_string());
    let request = scope.into_iter().fold(request, |request, scope| request.bearer_auth(secret(scope)));
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn view(desk: &Desk) -> Value {
    let request = desk.client.get(format!("{}/api/v1/status", desk.base)).bearer_auth(secret(Scope::Publish));
    request.send().await.unwrap().json().await.unwrap()
}

/// Runs `floodmark status …` against the desk.
async fn status(desk: &Desk, arguments: &[&str], input: &str) -> Output {
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    stdin.rewind().unwrap();
    let mut command = floodmark();
    command.arg("status").args(arguments).args(["--url", &desk.base]).stdin(stdin).env("USER", "bob");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn line(output: &Output) -> String {
    stdout(output).trim().to_owned()
}

#[tokio::test]
async fn commands_need_the_scope_publish_and_are_answered_with_what_was_done() {
    let desk = Desk::start(&[Scope::Publish, Scope::Admin]).await;
    desk.harm("api", 372);
    let draft = view(&desk).await["drafts"][0].clone();
    assert_eq!(draft["proposal"]["name"], "API: many requests fail");
    let publish = json!({"command": {"do": "publish", "draft": draft["id"]}, "idempotency_key": "k"});
    assert_eq!(post(&desk, None, &publish).await.0, 401);
    assert_eq!(post(&desk, Some(Scope::Admin), &publish).await.0, 403);
    let (code, done) = post(&desk, Some(Scope::Publish), &publish).await;
    assert_eq!((code, &done["id"], &done["repeated"]), (200, &draft["id"], &json!(false)));
    assert_eq!(post(&desk, Some(Scope::Publish), &publish).await.1["repeated"], true);
    let after = view(&desk).await;
    assert_eq!((after["drafts"].as_array().unwrap().len(), &after["acts"][0]["who"]), (0, &json!("publish-ann")));
    assert!(!desk.public().contains("ann"), "{}", desk.public());

    let update = |body: &str| json!({"command": {"do": "update", "incident": draft["id"], "body": body}});
    for (body, code, problem) in [
        (update("ask ann@example.com"), 400, "bad_body"),
        (json!({"command": {"do": "resolve", "incident": "nix"}}), 404, "not_found"),
        (json!({"command": {"do": "postmortem", "incident": draft["id"], "body": "x"}}), 409, "not_possible"),
        (json!({"command": {"do": "dance"}}), 400, "bad_body"),
        (json!({"command": {"do": "discard", "draft": "x"}, "more": 1}), 400, "bad_body"),
    ] {
        let (status, answer) = post(&desk, Some(Scope::Publish), &body).await;
        assert_eq!((status, answer["code"].as_str()), (code, Some(problem)), "{body}: {answer}");
    }
}

#[tokio::test]
async fn answers_are_what_the_description_says() {
    let desk = Desk::start(&[Scope::Publish]).await;
    desk.harm("api", 372);
    desk.report(&samples::incident("20260301T101500Z-retry-amplification-3f9c", samples::noon(), None));
    let mut answers = Vec::new();
    let published = view(&desk).await["drafts"][0]["id"].clone();
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    answers.push(json!({"what": "draft", "schema": schema("Status"), "body": view(&desk).await}));
    for command in [
        json!({"do": "publish", "draft": published, "status": "identified"}),
        json!({"do": "open", "name": "x", "body": "y", "components": ["search"], "impact": "major"}),
        json!({"do": "update", "incident": published, "body": "z"}),
        json!({"do": "resolve", "incident": published}),
        json!({"do": "state", "component": "api", "state": "operational", "until": floodmark::clock::now().plus(60_000)}),
        json!({"do": "announce", "name": "x", "body": "y", "until": floodmark::clock::now().plus(60_000), "components": ["api"]}),
    ] {
        let body = json!({"command": command, "author": "ann"});
        let (code, answer) = post(&desk, Some(Scope::Publish), &body).await;
        assert_eq!(code, 200, "{answer}");
        answers.push(json!({"what": "command", "schema": schema("StatusCommand"), "body": body}));
        answers.push(json!({"what": "done", "schema": schema("StatusDone"), "body": answer}));
    }
    answers.push(json!({"what": "all", "schema": schema("Status"), "body": view(&desk).await}));
    let document: Value = serde_json::from_str(&floodmark::api::openapi::text()).unwrap();
    let input = json!({"document": document, "answers": answers}).to_string();
    let said = tokio::task::spawn_blocking(move || python(crate::openapi::VALIDATOR, input.as_bytes())).await.unwrap();
    let said: Vec<String> = serde_json::from_str(&said).unwrap();
    assert!(said.is_empty(), "{said:#?}");
}

#[tokio::test]
async fn the_command_line_words_an_incident_from_draft_to_post_mortem() {
    let desk = Desk::start(&[]).await;
    desk.harm("api", 372);
    let drafts = stdout(&status(&desk, &["drafts"], "").await);
    assert!(
        drafts.contains("API: many requests fail") && drafts.contains("| API: about 37 % of requests fail"),
        "{drafts}"
    );
    let id = drafts.split_whitespace().next().unwrap().to_owned();
    assert!(drafts.contains(&format!("publish it: floodmark status publish {id}")), "{drafts}");

    let refused = status(&desk, &["publish", &id, "--body", "Zeus fell"], "").await;
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("body: \"zeus\" may not be public"), "{stderr}");
    let done = status(
        &desk,
        &["publish", &id, "--status", "identified", "--file", "-"],
        "Some requests fail.\n\nWe know why.\n",
    )
    .await;
    assert_eq!(line(&done), id);
    assert!(desk.public().contains(r"Some requests fail.\n\nWe know why."), "{}", desk.public());

    stdout(&status(&desk, &["update", &id, "--status", "monitoring", "--body", "A fix is out."], "").await);
    let shown: Value =
        serde_json::from_str(&stdout(&status(&desk, &["show", &id, "--output", "json"], "").await)).unwrap();
    let update = shown["updates"][0]["id"].as_str().unwrap().to_owned();
    stdout(&status(&desk, &["edit", &id, &update, "--body", "A fix is on its way."], "").await);
    assert_eq!(line(&status(&desk, &["resolve", &id], "").await), id);
    let again = status(&desk, &["update", &id, "--status", "identified", "--body", "Hm."], "").await;
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is over: `reopen` it first"));
    stdout(&status(&desk, &["postmortem", &id, "--body", "We learnt."], "").await);
    let shown = stdout(&status(&desk, &["show", &id], "").await);
    for words in ["postmortem, major", "| A fix is on its way.", "| It lasted", "| We learnt."] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let list = stdout(&status(&desk, &["list"], "").await);
    assert!(list.contains("api") && !list.contains(&id), "{list}");
    assert!(stdout(&status(&desk, &["list", "--all"], "").await).contains(&id));

    let open = ["open", "--name", "Slow", "--body", "Slow.", "--components", "search", "--idempotency-key", "k"];
    let opened = line(&status(&desk, &open, "").await);
    assert_eq!(line(&status(&desk, &open, "").await), opened, "done once");
    let unknown = status(&desk, &["open", "--name", "x", "--body", "y", "--components", "serach"], "").await;
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean search?"));
    assert_eq!(status(&desk, &["open", "--name", "x"], "").await.status.code(), Some(64), "words are needed");
}

#[tokio::test]
async fn the_command_line_says_how_a_component_is_and_announces_work() {
    let desk = Desk::start(&[]).await;
    let word = ["state", "search", "major_outage", "--for", "45m", "--note", "Our measurement misses it."];
    assert_eq!(line(&status(&desk, &word, "").await), "search");
    let Some((state, Authority::Person { note, .. })) = desk.said("search") else {
        panic!("{:?}", desk.said("search"))
    };
    assert_eq!((state, note.as_deref()), (ComponentState::MajorOutage, Some("Our measurement misses it.")));
    let list = stdout(&status(&desk, &["list"], "").await);
    assert!(list.contains("major_outage") && list.contains("bob until"), "{list}");
    stdout(&status(&desk, &["clear", "search"], "").await);
    assert_eq!(desk.said("search"), None);
    let long = status(&desk, &["state", "search", "operational", "--for", "8d"], "").await;
    assert!(String::from_utf8_lossy(&long.stderr).contains("within 7 days"));

    let announce = [
        "maintenance",
        "announce",
        "--name",
        "Larger database",
        "--body",
        "Slow.",
        "--for",
        "30m",
        "--components",
        "api,search",
    ];
    let id = line(&status(&desk, &announce, "").await);
    assert_eq!(desk.said("api"), Some((ComponentState::UnderMaintenance, Authority::Maintenance)));
    stdout(&status(&desk, &["maintenance", "change", &id, "--name", "A larger database"], "").await);
    stdout(&status(&desk, &["maintenance", "cancel", &id], "").await);
    assert_eq!(desk.said("api"), None);
    let list = stdout(&status(&desk, &["maintenance", "list"], "").await);
    assert!(list.contains("A larger database (called off)") && list.contains("api,search"), "{list}");
}

/// The fields of the form that asks for `what`, as a browser would send them.
fn form(page: &str, what: &str) -> Vec<(String, String)> {
    let forms = page.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
    let asks = format!("name=\"do\" value=\"{what}\"");
    let form =
        forms.into_iter().find(|form| form.contains(&asks)).unwrap_or_else(|| panic!("no form to {what}: {page}"));
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    let pair = |input: &str| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split('"').next().unwrap().to_owned())
    };
    inputs.map(pair).collect()
}

#[tokio::test]
async fn the_console_publishes_for_those_who_may_and_for_nobody_else() {
    let desk = Desk::start(&[Scope::Publish, Scope::Admin]).await;
    desk.harm("api", 372);
    let cookie = async |scope: Scope| {
        let page = desk.client.get(format!("{}/login", desk.base)).send().await.unwrap().text().await.unwrap();
        let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let body = [("token", secret(scope).as_str()), ("form_token", &token), ("next", "/status")]
            .map(|(name, value)| format!("{name}={value}"))
            .join("&");
        let request = desk.client.post(format!("{}/login", desk.base)).body(body);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let page = async |cookie: &str| {
        let request = desk.client.get(format!("{}/status", desk.base)).header("cookie", cookie);
        request.send().await.unwrap().text().await.unwrap()
    };
    let send = async |cookie: &str, fields: &[(String, String)]| {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = desk.client.post(format!("{}/status/command", desk.base)).header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(pairs.join("&"));
        request.send().await.unwrap()
    };
    let admin = cookie(Scope::Admin).await;
    let looked = page(&admin).await;
    assert!(looked.contains("API: many requests fail") && !looked.contains("name=\"do\""), "reading only: {looked}");
    let ann = cookie(Scope::Publish).await;
    let looked = page(&ann).await;
    assert!(looked.contains("Search &amp; fingerprints"), "{looked}");
    let mut fields = form(&looked, "publish");
    fields.push(("body".to_owned(), "Some <b>requests</b> fail.\r\nWe look.".to_owned()));
    fields.push(("status".to_owned(), "identified".to_owned()));
    fields.push(("component.api".to_owned(), "on".to_owned()));
    assert_eq!(send(&admin, &fields).await.status(), 403);
    let mut forged = fields.clone();
    forged[0].1 = "another".to_owned();
    assert_eq!(send(&ann, &forged).await.status(), 403, "the form's token is another's");
    let answer = send(&ann, &fields).await;
    assert_eq!((answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()), (303, "/status"));
    let looked = page(&ann).await;
    assert!(looked.contains("Some &lt;b&gt;requests&lt;/b&gt; fail."), "{looked}");
    let mut update = form(&looked, "update");
    update.push(("body".to_owned(), "see db.internal".to_owned()));
    let refused = send(&ann, &update).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("is the name of a machine inside"));
    let mut word = form(&looked, "state");
    word.extend([("state", "operational"), ("for", "1h"), ("note", "")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(send(&ann, &word).await.status(), 303);
    assert!(page(&ann).await.contains("publish-ann</b> says so until"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_keeps_nobody_out() {
    let desk = Desk::start(&[]).await;
    desk.harm("api", 372);
    let author = |command: Value| json!({"command": command, "author": "ann"});
    let open = json!({"do": "open", "name": "Trouble", "body": "We see errors.", "components": ["search"]});
    post(&desk, None, &author(open)).await;
    desk.harm("search", 500);
    let until = floodmark::clock::now().plus(3_600_000);
    let work = json!({"do": "announce", "name": "Work", "body": "Slow.", "until": until, "components": ["api"]});
    post(&desk, None, &author(work)).await;
    let word = json!({"do": "state", "component": "search", "state": "operational", "until": until});
    post(&desk, None, &author(word)).await;
    let base = desk.base.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::start();
        let mut found = Vec::new();
        for (width, scheme) in [(1280, "light"), (360, "dark")] {
            browser.screen(width, 900);
            browser.prefer(scheme);
            browser.open(&format!("{base}/status"));
            found.extend(browser.barriers());
            found.extend(browser.troubles(&base));
            let overflow = browser.eval("document.documentElement.scrollWidth > window.innerWidth");
            found.extend((overflow == true).then(|| format!("{width}: scrolls sideways")));
        }
        found
    });
    assert_eq!(looked.await.unwrap(), [""; 0]);
}
