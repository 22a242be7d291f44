//! The SQL with which servers are changed that can make users so. The engine of these tests cannot (its code 514), but it
//! knows the language: what it makes of the same policy in users.xml must read as the SQL does, and it must take each
//! statement up to the point where there is no place to keep its object.

use std::collections::BTreeSet;

use floodmark::guard::policy::{Attributes, Desired, Existing, Kind, PlanOptions, plan, statements};
use serde::Deserialize;

use crate::support::guard_policy::{Guarded, desired};

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Statements for a server that has nothing yet, with their kinds.
fn all_statements() -> Vec<(Kind, String)> {
    let desired = desired();
    let plan = plan(&desired, &Existing::default(), Vec::new(), PlanOptions { sql_access: true, adopt: false });
    let of = |change| statements(change, &desired).into_iter().map(|statement| statement.sql);
    plan.changes.iter().flat_map(|change| of(change).map(|sql| (change.kind, sql))).collect()
}

async fn ask(sql: &str) -> String {
    let rows: Vec<Text> =
        Guarded::shared().admin().fetch(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.text).collect::<Vec<_>>().join("\n")
}

fn literal(sql: &str) -> String {
    format!("'{}'", sql.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[tokio::test]
async fn every_statement_is_one_of_the_engines_language() {
    let statements = all_statements();
    assert!(statements.len() > 25, "{}", statements.len());
    for (_, sql) in statements {
        let formatted = ask(&format!("SELECT formatQuerySingleLine({}) AS text", literal(&sql))).await;
        assert!(formatted.len() > 10, "{sql}");
    }
}

/// The parts of `CREATE SETTINGS PROFILE`, without quotes and with values in one form: what users.xml has read is in
/// another order, seconds have a point and flags are words.
fn parts(create: &str) -> BTreeSet<String> {
    let plain = create.replace(['`', '.'], "").replace("= true ", "= 1 ");
    let (head, settings) = plain.strip_prefix("CREATE SETTINGS PROFILE ").unwrap().split_once(" SETTINGS ").unwrap();
    settings.split(", ").chain([head]).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_profile_made_with_sql_is_the_profile_of_users_xml() {
    let create = "CREATE SETTINGS PROFILE";
    let profiles: Vec<String> =
        all_statements().into_iter().filter(|(kind, _)| *kind == Kind::Profile).map(|(_, sql)| sql).collect();
    assert_eq!(profiles.len(), 3);
    for sql in profiles {
        let name = sql.strip_prefix(&format!("{create} ")).unwrap().split(' ').next().unwrap().to_owned();
        let ours = ask(&format!("SELECT formatQuerySingleLine({}) AS text", literal(&sql))).await;
        let engines = shown(&format!("SHOW CREATE SETTINGS PROFILE {name}")).await;
        assert_eq!(parts(&ours), parts(&engines));
    }
}

/// The first column of a SHOW statement.
async fn shown(sql: &str) -> String {
    let guarded = Guarded::shared();
    let admin = &guarded.users.admin;
    let sql = format!("{sql} FORMAT TSVRaw");
    crate::support::guard_policy::ask(&guarded.url, admin.user, &admin.password, &sql, &[]).await.trim().to_owned()
}

#[tokio::test]
async fn roles_quotas_and_users_made_with_sql_are_those_of_users_xml() {
    let mut grants = BTreeSet::new();
    for (kind, sql) in all_statements() {
        if sql.starts_with("GRANT ") {
            grants.insert(sql);
        } else if kind == Kind::Quota {
            // A quota is given to the role there, and to the user here.
            let (ours, _) = sql.split_once(" TO ").unwrap();
            let name = ours.split(' ').nth(4).unwrap();
            let engines = shown(&format!("SHOW CREATE QUOTA {name}")).await;
            assert_eq!(ours.replace(" OR REPLACE", ""), engines.split(" TO ").next().unwrap());
        } else if let Some(rest) = sql.strip_prefix("CREATE USER ") {
            let name = rest.split(' ').next().unwrap();
            let engines = shown(&format!("SHOW CREATE USER {name}")).await.replace('`', "'");
            let (_, profile) = sql.split_once(" SETTINGS PROFILE ").unwrap();
            assert_eq!(
                engines,
                format!("CREATE USER {name} IDENTIFIED WITH sha256_password SETTINGS PROFILE {profile}")
            );
        }
    }
    let desired = desired();
    let mut of_engine = BTreeSet::new();
    for holder in desired.roles.keys().chain(desired.users.keys()) {
        of_engine.extend(shown(&format!("SHOW GRANTS FOR {holder}")).await.lines().map(str::to_owned));
    }
    // The engine writes two rights on one place as one grant.
    let split = |grant: &String| match grant.strip_prefix("GRANT SELECT, INSERT ON ") {
        Some(place) => vec![format!("GRANT SELECT ON {place}"), format!("GRANT INSERT ON {place}")],
        None => vec![grant.clone()],
    };
    assert_eq!(grants, of_engine.iter().flat_map(split).collect());
}

#[tokio::test]
async fn the_engine_takes_each_statement_as_far_as_it_can_keep_something() {
    let guarded = Guarded::shared();
    for (kind, sql) in all_statements() {
        // Replacing it would take the slots from under other tests: it has a test and an engine of its own.
        if matches!(kind, Kind::Resource) {
            continue;
        }
        let result = guarded.admin().execute(&sql).await;
        if matches!(kind, Kind::Workload) {
            result.unwrap_or_else(|error| panic!("{sql}: {error}"));
            continue;
        }
        let error = result.expect_err(&sql).to_string();
        // 514: no place to keep it. 493 and 495: it is there, in users.xml, which cannot be changed.
        let is_understood = ["Code: 514.", "Code: 493.", "Code: 495."].iter().any(|code| error.contains(code));
        assert!(is_understood, "{sql}: {error}");
    }
}

#[tokio::test]
async fn slots_that_a_restart_has_lost_are_made_again() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for start in ["first", "second"] {
        let engine = crate::support::guard_policy::engine(directory.path(), false).await;
        let admin = crate::support::clickhouse::client(engine.url(), &engine.users().admin, "default");
        let of_slots = |kind: &Kind| matches!(kind, Kind::Workload | Kind::Resource);
        for (_, sql) in all_statements().into_iter().filter(|(kind, _)| of_slots(kind)) {
            admin.execute(&sql).await.unwrap_or_else(|error| panic!("{start} start, {sql}: {error}"));
        }
        let shown: Vec<Text> = admin.fetch("SELECT name AS text FROM system.resources", &[]).await.unwrap();
        assert_eq!(shown.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["floodmark_guard_query"]);
        engine.shutdown().await.unwrap();
    }
}

/// What a server has on which every object of the guard was changed by hand.
fn changed_by_hand(desired: &Desired) -> Existing {
    let mut existing = Existing { objects: desired.objects(true), ..Existing::default() };
    for ((kind, _), attributes) in &mut existing.objects {
        let changed: &[(&str, &str)] = match kind {
            Kind::Profile => &[("readonly", "2"), ("applies to", "ALL")],
            Kind::Role => &[
                ("grant INSERT ON *.*", "granted"),
                ("setting max_memory_usage", "0"),
                ("revoke SELECT ON guarded.u", "granted"),
            ],
            Kind::User => {
                &[("password", "another"), ("setting max_memory_usage", "0"), ("grant SELECT ON *.*", "granted")]
            }
            _ => &[],
        };
        attributes.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
    for (name, role) in [("floodmark_guard_ingest", Kind::Profile), ("floodmark_guard_loader", Kind::Role)] {
        // As if the policy no longer had them: then they are dropped.
        let attributes = existing.objects.remove(&(role, name.to_owned())).unwrap_or_default();
        existing.objects.insert((role, name.replace("floodmark_guard_", "floodmark_guard_old_")), attributes);
    }
    existing.objects.insert((Kind::User, "grafana_old".to_owned()), Attributes::new());
    existing
}

#[tokio::test]
async fn the_engine_takes_the_statements_that_undo_what_was_changed_by_hand() {
    let desired = desired();
    let plan = plan(&desired, &changed_by_hand(&desired), Vec::new(), PlanOptions { sql_access: true, adopt: false });
    let mut verbs = BTreeSet::new();
    for statement in plan.changes.iter().flat_map(|change| statements(change, &desired)) {
        let sql = statement.sql;
        let formatted = ask(&format!("SELECT formatQuerySingleLine({}) AS text", literal(&sql))).await;
        if sql.starts_with("ALTER SETTINGS PROFILE") {
            assert!(formatted.contains("DROP ALL SETTINGS, DROP ALL PROFILES, ADD SETTINGS"), "replaced: {formatted}");
        }
        verbs.extend(sql.split(' ').next().map(str::to_owned));
        match Guarded::shared().admin().execute(&sql).await {
            // What is not there is dropped already.
            Ok(()) => assert!(sql.contains(" IF EXISTS "), "{sql}"),
            Err(error) => {
                let error = error.to_string();
                let is_understood = ["Code: 514.", "Code: 493.", "Code: 495."].iter().any(|code| error.contains(code));
                assert!(is_understood, "{sql}: {error}");
            }
        }
    }
    assert_eq!(verbs, ["ALTER", "CREATE", "DROP", "GRANT", "REVOKE"].map(str::to_owned).into());
}
